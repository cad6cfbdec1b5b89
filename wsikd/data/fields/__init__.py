"""Pixels at any µm per pixel: of slides, pictures or regions, streamed."""
