"""One thing that was looked at, and what to do about it."""

from typing import Literal

from wsikd.config import Settings

State = Literal["ok", "note", "wrong"]
"""How what was looked at is."""


class Finding(Settings):
    """What was looked at, how it is and, unless all is well, what to do.

    A note is what limits some commands only, or may be as it is meant to be.
    """

    what: str
    state: State
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.state:<5}  {self.what:<17} {self.found}{remedy}"
