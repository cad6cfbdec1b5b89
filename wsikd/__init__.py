"""wsikd: how low a magnification is good enough, and the model that reads slides there."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsikd.study import Study

__version__ = "0.2.0"

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    """Import what is exported when it is asked for: the parts import this package's version."""
    if name in __all__:
        return getattr(import_module("wsikd.study"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
