"""One line for the user, from the errors of cyclopts."""

import re

from cyclopts import CycloptsError
from pydantic import ValidationError

from wsikd.config import explain

_KEY = re.compile(
    r'Unknown option: "\[(?P<keys>.+?)\]" from (?P<file>.+?)\.(?: Did you mean (?P<near>\S+)\?)?'
)
"""What cyclopts says of a key that no option has; a key in another is [tissue][mpp]."""


def one_line(error: CycloptsError) -> str:
    """Tell in one line what was wrong with the options."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, ValidationError):
            return explain(cause, as_option=True)
        cause = cause.__cause__
    said = " ".join(str(error).split())
    key = _KEY.fullmatch(said)
    if key is None:
        return said
    option = key["keys"].replace("][", ".").replace("_", "-")
    remedy = f"did you mean {key['near']}?" if key["near"] else "leave it out or correct its name"
    return f"{key['file']}: --{option} is unknown; {remedy}"
