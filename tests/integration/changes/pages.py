"""Small TIFF slides through tifffile, every level decoded at once: the example of a new reader."""

from pathlib import Path

import tifffile

from wsikd.errors import SlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.reader import FileReader
from wsikd.slides.sniff import FileKind


class PagesReader(FileReader):
    """Reads a TIFF slide that fits into memory."""

    name = "pages"

    def __init__(self, path: Path) -> None:
        self.path, self.format = path, "tiff"
        self.version = f"tifffile {tifffile.__version__}"
        try:
            with tifffile.TiffFile(path) as file:
                described = file.pages[0].aspage().description
                self._levels = [level.asarray() for level in file.series[0].levels]
        except tifffile.TiffFileError as error:
            raise SlideError(f"{path}: cannot be read ({error}); copy it again") from None
        stated = dict(part.split(" = ") for part in described.split("|") if " = " in part)
        self.level_sizes = tuple(Size(*level.shape[1::-1]) for level in self._levels)
        self.stated_mpp = Mpp(*[float(stated["MPP"])] * 2) if "MPP" in stated else None
        self.objective_power = float(stated["AppMag"]) if "AppMag" in stated else None
        self.tile_size = Size(256, 256)

    @classmethod
    def suits(cls, path: Path, kind: FileKind) -> int:  # noqa: ARG003
        """Return 1 for TIFF: others do not hold all of it in memory."""
        return 1 if kind == "tiff" else 0

    def _read(self, region: Region, level: int) -> Pixels:
        down_x, down_y = self.level_downsamples[level]
        left, top = round(region.x / down_x), round(region.y / down_y)
        rows, columns = slice(top, top + region.size.height), slice(left, left + region.size.width)
        return self._levels[level][rows, columns]

    def _close(self) -> None:
        self._levels.clear()
