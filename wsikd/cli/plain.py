"""Help without boxes, for terminals that have none."""

from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import Box

_TITLE_LINE = "----\n"
_NO_LINES = "    \n" * 7


def plain_formatter() -> DefaultFormatter:
    """Make what prints help in columns below ASCII titles."""
    return DefaultFormatter(panel_spec=PanelSpec(box=Box(_TITLE_LINE + _NO_LINES, ascii=True)))
