"""The files of a slide: which they are, and whether they are those it was prepared from."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from wsikd.errors import SlideError
from wsikd.hashing import digest, files_fingerprint, source_files
from wsikd.store import Source

_THREADS = 4  # files read at once: a MIRAX or DICOM slide has many
_BLOCK = 8 * 2**20
_LEAST_PATIENCE_S = 60.0  # for a hash that is not ready when the rest of a slide is
_INDEX_BYTES = 2**16  # a text that names a slide's files is shorter
_SERIES_TAG = b"\x20\x00\x0e\x00UI"  # SeriesInstanceUID, in front of its length and value
_HEAD_BYTES = 2**16


def list_files(path: Path) -> list[Path]:
    """List all files that a slide is in, its own first, then those that its format keeps beside it.

    A folder is all files below it. MIRAX (.mrxs) and Olympus (.vsi) have a folder of data,
    Hamamatsu's .vms, .vmu and .ndpis are texts that name the files beside them, and a DICOM
    file is one of those of its series in its folder.
    """
    if path.is_dir():
        return sorted(_files_below(path))
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        beside = _files_below(path.with_suffix(""))
    elif suffix == ".vsi":
        beside = _files_below(path.with_name(f"_{path.stem}_"))
    elif suffix in (".dcm", ".dicom"):
        beside = _same_series(path)
    else:
        beside = _named_in(path)
    return [path, *sorted(set(beside) - {path})]


def read_source(path: Path, whole: str | None = None) -> Source:
    """Describe a slide's files by their sizes and ends, and by all of their content if it is known.

    Raises
    ------
    SlideError
        If there is no such file.
    """
    if not path.exists():
        raise SlideError(f"{path}: no such file; correct its path in the manifest")
    total = sum(file.stat().st_size for file in list_files(path))
    ends = files_fingerprint(source_files(path))
    return Source(name=path.name, bytes=total, sha256=ends, whole=whole)


class WholeHash:
    """The hash of all content of a slide's files, read in threads beside other work.

    That of a slide of one file is its SHA-256; of several, the SHA-256 of a line for each with its
    name and its SHA-256, in the order given.

    Parameters
    ----------
    files : sequence of Path
        From `list_files`.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.svs"
    >>> _ = file.write_bytes(b"a")
    >>> with WholeHash([file]) as hashing:
    ...     hashing.wait()[:8]
    'ca978112'
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files, self._began = list(files), time.monotonic()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS)
        self._each: list[Future[str]] = [self._pool.submit(self._hash, path) for path in files]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def wait(self) -> str:
        """Return the hash when it is ready."""
        return self._join([each.result() for each in self._each])

    def wait_patiently(self) -> str | None:
        """Return the hash; None if the disk fails, or needs as long again as for the rest."""
        until = time.monotonic() + max(_LEAST_PATIENCE_S, time.monotonic() - self._began)
        try:
            found = [each.result(max(0, until - time.monotonic())) for each in self._each]
        except (OSError, CancelledError):  # TimeoutError is one, too
            return None
        return self._join(found)

    def _join(self, found: list[str]) -> str:
        if len(found) == 1:
            return found[0]
        return digest(f"{path.name} {each}" for path, each in zip(self._files, found, strict=True))

    def _hash(self, path: Path) -> str:
        hashed = sha256()
        try:
            with path.open("rb", buffering=0) as file:
                while not self._stopped.is_set() and (block := file.read(_BLOCK)):
                    hashed.update(block)
        except OSError as error:
            error.filename = str(path)
            raise
        return hashed.hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _named_in(path: Path) -> Iterator[Path]:
    """Yield the files that a short text names after `=`, such as `ImageFile=slide(0,1).jpg`."""
    if path.stat().st_size > _INDEX_BYTES:
        return
    text = path.read_bytes().decode("latin-1")
    if "\0" in text:
        return
    for line in text.splitlines():
        name = line.rpartition("=")[2].strip()
        if 0 < len(name) < 256 and name not in (".", "..") and Path(name).name == name:
            beside = path.with_name(name)
            if beside.is_file():
                yield beside


def _same_series(path: Path) -> Iterator[Path]:
    series = _read_series(path)
    beside = path.parent.glob(f"*{path.suffix}")
    return (file for file in beside if series and _read_series(file) == series)


def _read_series(path: Path) -> bytes:
    """Read which series a DICOM file belongs to; empty if its beginning does not say so."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    _, found, rest = head.partition(_SERIES_TAG)
    length = int.from_bytes(rest[:2], "little")
    return rest[2 : 2 + length].rstrip(b"\0 ") if found else b""
