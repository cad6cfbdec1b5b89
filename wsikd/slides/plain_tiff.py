"""What OpenSlide does not say of a plain TIFF: damage it passes over, tiles left out, alpha."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsikd.geometry import Size
from wsikd.slides.jpeg import DamagedDataError
from wsikd.slides.series import choose_series, pages_of
from wsikd.slides.tiles import DAMAGE, TiffTiles, UnsupportedError
from wsikd.slides.unscanned import is_left_out

_ALPHA_KNOWN = (1, 2)  # of the tag ExtraSamples; OpenSlide takes all others for an alpha, too


class PlainTiff:
    """Looks at the tables and tiles of a TIFF beside OpenSlide, which takes some damage for data.

    Parameters
    ----------
    path : Path
        An Aperio slide or a generic TIFF.
    level_sizes : tuple of Size
        The levels that OpenSlide shows.

    Attributes
    ----------
    notes : tuple of str
        What of the file OpenSlide does not show.

    Raises
    ------
    UnsupportedError
        If OpenSlide shows other pixels than the file means.
    """

    def __init__(self, path: Path, level_sizes: tuple[Size, ...]) -> None:
        self._file = tifffile.TiffFile(path)
        self._page = self._file.pages.first
        try:
            _check(self._file, self._page)
        except UnsupportedError:
            self._file.close()
            raise
        self.notes: tuple[str, ...] = ()
        self._tiles = self._known(level_sizes)
        self._whole: set[tuple[int, int, int]] = set()  # level, row, column

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find the tiles that the file leaves out of level 0."""
        return is_left_out(self._page, size)

    def find_damage(
        self, corner: tuple[int, int], size: Size, level: int
    ) -> Iterator[tuple[tuple[int, int], Size, str]]:
        """Yield the damaged tiles below a rectangle of a level: corner, size and reason.

        Each tile is decoded once, whatever is read of it.
        """
        tiles = self._tiles.get(level)
        if tiles is None:
            return
        wide, tall = tiles.tile_size
        right = min(corner[0] + size.width, tiles.size.width)
        bottom = min(corner[1] + size.height, tiles.size.height)
        for row in range(corner[1] // tall, -(-bottom // tall)):
            for column in range(corner[0] // wide, -(-right // wide)):
                if (level, row, column) in self._whole:
                    continue
                try:
                    tiles.decode(row, column)
                except DamagedDataError as error:
                    yield (column * wide, row * tall), tiles.tile_size, str(error)
                else:
                    self._whole.add((level, row, column))

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _known(self, level_sizes: tuple[Size, ...]) -> dict[int, TiffTiles]:
        """Find the levels whose tiles show damage when they are decoded."""
        try:
            pages = pages_of(choose_series(self._file))
        except UnsupportedError as error:
            self.notes = (f"OpenSlide reads the first picture of a file with {error}",)
            return {}
        try:
            known = [TiffTiles(page) for page in pages]
        except (*DAMAGE, UnsupportedError) as error:  # which OpenSlide shows all the same
            self.notes = (f"damage to its tiles would not be noticed, as they have {error}",)
            return {}
        found = {tiles.size: tiles for tiles in known if tiles.shows_damage}
        return {level: found[size] for level, size in enumerate(level_sizes) if size in found}


def _check(file: tifffile.TiffFile, page: tifffile.TiffPage) -> None:
    """Refuse what OpenSlide passes over without a word."""
    if file.is_ome:
        raise UnsupportedError("OME-TIFF, whose pictures and resolution it does not know")
    orientation = page.tags.valueof(274, default=1)
    if orientation != 1:
        raise UnsupportedError(f"Orientation {orientation}, turned or mirrored")
    if page.bitspersample != 8:
        raise UnsupportedError(f"{page.bitspersample} bits a channel, of which it shows eight")
    extra = [int(value) for value in page.extrasamples]
    if page.samplesperpixel == 2:
        raise UnsupportedError("grey with a second channel, which it composites twice")
    if page.samplesperpixel == 4 and not set(extra) & set(_ALPHA_KNOWN):
        raise UnsupportedError(f"ExtraSamples {extra}, a channel that is no transparency")
