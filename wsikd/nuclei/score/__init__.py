"""Segmenters against labelled nuclei: sets, metrics, controls, intervals over seeds."""
