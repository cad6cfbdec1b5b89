"""One line for the user, from the errors of the system and of cyclopts."""

import errno
import re

from cyclopts import CycloptsError
from pydantic import ValidationError

from wsikd.config import explain

_FILE_REMEDIES = {
    errno.EACCES: "allow it with chmod, or choose another folder",
    errno.EPERM: "allow it with chmod, or choose another folder",
    errno.EEXIST: "a folder is needed there; choose another",
    errno.ENOTDIR: "a folder is needed there; choose another",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOSPC: "make room and run the same command to go on",
    errno.EDQUOT: "make room and run the same command to go on",
}

_KEY = re.compile(
    r'Unknown option: "\[(?P<keys>.+?)\]" from (?P<file>.+?)\.(?: Did you mean (?P<near>\S+)\?)?'
)
"""What cyclopts says of a key that no option has; a key in another is [tissue][mpp]."""


def explain_file(error: OSError) -> str:
    """Tell in one line what the system refused, and what to do about it."""
    reason = (error.strerror or type(error).__name__).lower()
    remedy = _FILE_REMEDIES.get(error.errno or 0, "see that it is there and can be used")
    return f"{error.filename}: {reason}; {remedy}"


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
