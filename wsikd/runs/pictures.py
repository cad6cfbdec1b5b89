"""Pictures of slides and regions below `runs/`, which a report shows without the region store.

`runs/pictures/` holds `pictures.json` and the JPEG and PNG files that it names. It is made where
the regions are, by training and by `wsikd report`.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from wsikd.config import Settings, load_document
from wsikd.errors import StoreError
from wsikd.files import clear_up, write_json
from wsikd.runs.names import PICTURES

_REMEDY = "copy the folder whole, or remove it and run wsikd report where the regions are"


class ShownSlide(Settings):
    """A slide, with a picture on which its tissue is outlined."""

    slide_id: str
    picture: str = Field(description="file, from the folder on")
    regions: int
    mpp: float = Field(description="µm per level-0 pixel, the mean of x and y")
    warnings: tuple[str, ...]
    made_of: str = Field(description="hash of the slide's record; another one is drawn anew")


class FailedSlide(Settings):
    """A slide that could not be prepared."""

    slide_id: str
    error: str


class Crop(Settings):
    """A square of a region at one magnification; all crops of a region show the same tissue."""

    magnification: str
    picture: str = Field(description="file, from the folder on")
    size: str = Field(description="such as 400 × 400 px")


class ShownRegion(Settings):
    """A square of a large region of one class, at every magnification, finest first."""

    label: str
    slide_id: str
    region_id: str
    side_um: int
    crops: tuple[Crop, ...]
    made_of: str = Field(description="hash of the slide's record; another one is cut anew")


class Pictures(Settings):
    """`pictures.json`."""

    format: Literal["wsikd-pictures"] = "wsikd-pictures"
    version: Literal[1] = 1
    slides: tuple[ShownSlide, ...] = ()
    failed: tuple[FailedSlide, ...] = ()
    regions: tuple[ShownRegion, ...] = ()


class PictureFolder:
    """The folder `runs/pictures/`.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    """

    def __init__(self, runs: Path) -> None:
        self.path = runs / PICTURES

    def read(self) -> Pictures | None:
        """Read what there is; None if no picture was made.

        Raises
        ------
        StoreError
            If the record is damaged or of another format version.
        """
        path = self.path / "pictures.json"
        return load_document(path, Pictures, StoreError, _REMEDY) if path.exists() else None

    def holds(self, *names: str) -> bool:
        """Tell whether these pictures are there, and not empty."""
        paths = [self.path / name for name in names]
        return all(path.is_file() and path.stat().st_size > 0 for path in paths)

    def read_picture(self, name: str) -> bytes:
        """Read a picture that the record names.

        Raises
        ------
        StoreError
            If it is missing or empty.
        """
        path = self.path / name
        if not self.holds(name):
            raise StoreError(f"{path}: must be a picture, is missing or empty; {_REMEDY}")
        return path.read_bytes()

    def write(self, pictures: Pictures) -> None:
        """Write the record, and remove the pictures that it does not name."""
        clear_up(self.path)
        write_json(self.path / "pictures.json", pictures.model_dump(mode="json"))
        named = {slide.picture for slide in pictures.slides}
        named |= {crop.picture for region in pictures.regions for crop in region.crops}
        for kind in ("slides", "regions"):
            for file in (self.path / kind).rglob("*"):
                if file.is_file() and file.relative_to(self.path).as_posix() not in named:
                    file.unlink(missing_ok=True)
