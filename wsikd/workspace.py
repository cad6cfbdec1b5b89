"""The folder a cohort lives in, and where everything in it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Workspace:
    """Paths of a workspace.

    Examples
    --------
    >>> Workspace(Path("cohort")).runs.as_posix()
    'cohort/runs'
    """

    root: Path

    @classmethod
    def here(cls) -> Self:
        """Return the current folder, the default."""
        return cls(Path())

    @property
    def settings(self) -> Path:
        """Settings of the commands, optional."""
        return self.root / "wsikd.yaml"

    @property
    def manifest(self) -> Path:
        return self.root / "slides.csv"

    @property
    def store(self) -> Path:
        return self.root / "regions"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """What can be made again, such as decoded patches; it can be removed at any time."""
        return self.root / "cache"

    @property
    def report(self) -> Path:
        return self.root / "report.html"
