"""wsikd: how low a magnification is good enough, and the model that reads slides there."""

__version__ = "0.2.0"
