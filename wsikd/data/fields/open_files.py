"""Slide files that stay open between the crops that are read from them."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wsikd.geometry import Pixels, Region

if TYPE_CHECKING:
    from wsikd.slides import SlideReader


class OpenFiles:
    """Files that were read, kept open for the next read; to be used in a `with`, which closes them.

    Parameters
    ----------
    limit : int
        Files open at a time; the one read longest ago is closed for another.
    """

    def __init__(self, *, limit: int = 64) -> None:
        self._limit = limit
        self._readers: dict[
            tuple[Path, str | None], SlideReader
        ] = {}  # the one read last at the end

    def read(self, path: Path, reader: str | None, place: Region) -> Pixels:
        """Read a rectangle of a file's level 0.

        Parameters
        ----------
        path : Path
            The file.
        reader : str or None
            Key of `wsikd.slides.READERS`; None for the one that suits.
        place : Region
            At level 0.

        Raises
        ------
        SlideError
            If the file cannot be opened or decoded.
        """
        from wsikd.slides import open_slide  # noqa: PLC0415

        key = (path, reader)
        opened = self._readers.pop(key, None) or open_slide(path, reader=reader)
        self._readers[key] = opened
        if len(self._readers) > self._limit:
            self._readers.pop(next(iter(self._readers))).close()
        return opened.read(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._readers:
            self._readers.popitem()[1].close()
