"""Slides that are drawn, with known tissue and classes: for the demo, tests and fault drills."""

from wsikd.drawn.slides import DrawSettings, draw_slides

__all__ = ["DrawSettings", "draw_slides"]
