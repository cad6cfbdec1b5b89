"""What files looked like when they were last known to be whole, so that a rerun need not read them.

A stamp is a hash of names, sizes and times. Where it is the same as before, nothing was written to
the files since, and neither the slide nor its regions are read again: thousands of complete slides
are passed over in seconds. Where it differs, contents decide. What a disk changes by itself shows
in no stamp; `wsikd check` reads everything.

Stamps are of this disk, and a slide's times can tell when it was scanned: so they lie beside the
slides, in `.stamps/`, and not in what is handed on. They may be removed at any time.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from wsikd.config import Settings
from wsikd.files import write_text
from wsikd.hashing import digest

_SETTLED_S = 2.0  # the coarsest steps of a file system's clock


class Stamps(Settings):
    """The stamps of a slide and of its folder of regions; empty where none is known."""

    source: str = ""
    times: str = ""
    folder: str = ""


def read_stamps(store: Path, slide_id: str) -> Stamps:
    """Read the stamps of a slide; empty ones where there are none that can be read."""
    try:
        return Stamps.model_validate_json(_place(store, slide_id).read_bytes())
    except (OSError, ValidationError):
        return Stamps()


def write_stamps(store: Path, slide_id: str, stamps: Stamps) -> None:
    """Write the stamps of a slide, if these can be written: without them all is read again."""
    with suppress(OSError):
        write_text(_place(store, slide_id), stamps.model_dump_json() + "\n")


class Seen(NamedTuple):
    """Files as they were at one moment.

    Attributes
    ----------
    files : list of Path
        The files.
    folder : Path
        What their names are relative to.
    stamp : str
        Hash of their names, sizes and times of any change, which no program can set back.
    times : str
        The same with the times of change of their content alone, which copying can keep.
    """

    files: list[Path]
    folder: Path
    stamp: str
    times: str

    def is_as_it_was(self) -> bool:
        """Tell whether nothing was written to the files since."""
        return see(self.files, self.folder).stamp == self.stamp

    def is_settled(self) -> bool:
        """Tell whether a later write would show: no time is of this very moment."""
        found = [file.stat() for file in self.files]
        newest = max((max(one.st_mtime, one.st_ctime) for one in found), default=0)
        return newest < time.time() - _SETTLED_S


def see(files: list[Path], folder: Path) -> Seen:
    """Look at names, sizes and times of files in a folder, in the order given."""
    times, changes = [], []
    for file in files:
        found = file.stat()
        times.append(f"{file.relative_to(folder)} {found.st_size} {found.st_mtime_ns}")
        changes.append(f"{times[-1]} {found.st_ctime_ns}")
    return Seen(files, folder, digest(changes), digest(times))


def stamp_folder(folder: Path) -> str:
    """Return the stamp of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return see(files, folder).stamp


def _place(store: Path, slide_id: str) -> Path:
    return store / ".stamps" / f"{slide_id}.json"
