"""Slides as they come, good and bad, drawn once for all integration tests."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsikd.drawn.slides import DrawSettings, draw_slide

SETTINGS = DrawSettings(mpp=1.0, pieces=2, piece_mm=(0.4, 0.5))


@pytest.fixture(scope="session")
def good_slide(tmp_path_factory) -> Path:
    """Return a drawn slide of two pieces."""
    path = tmp_path_factory.mktemp("good") / "good.svs"
    draw_slide(path, "normal", SETTINGS)
    return path


@pytest.fixture(scope="session")
def bad_slides(tmp_path_factory, good_slide) -> Path:
    """Return a folder of slides that cannot be prepared, each named after what is wrong."""
    folder = tmp_path_factory.mktemp("bad")
    data = good_slide.read_bytes()
    (folder / "truncated.svs").write_bytes(data[: int(0.6 * len(data))])
    (folder / "empty.svs").write_bytes(b"")
    (folder / "webpage.svs").write_text("<!DOCTYPE html><html>404</html>")
    (folder / "unreadable.svs").write_bytes(_with_a_damaged_tile(good_slide))
    with tifffile.TiffFile(good_slide) as file:
        pixels = file.pages[0].asarray()
    _write_tiff(folder / "no_mpp.tif", pixels)
    _write_tiff(folder / "no_tissue.tif", np.full_like(pixels, 240), mpp=1.0)
    _write_tiff(folder / "dark.tif", pixels // 12, mpp=1.0)
    _write_tiff(folder / "coarse.tif", pixels, mpp=19.0)
    return folder


def _with_a_damaged_tile(slide: Path) -> bytes:
    """Overwrite the middle of the slide's middle tile, where there is tissue, of level 0."""
    with tifffile.TiffFile(slide) as file:
        page = file.pages[0]
        tile = int(np.argmax(page.databytecounts))
        offset, length = page.dataoffsets[tile], page.databytecounts[tile]
    data = bytearray(slide.read_bytes())
    data[offset + length // 4 : offset + length] = b"\x00" * (length - length // 4)
    return bytes(data)


def _write_tiff(path: Path, pixels: np.ndarray, mpp: float | None = None) -> None:
    resolution = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp),
                                         "resolutionunit": "CENTIMETER"}  # fmt: skip
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", compression="jpeg", **resolution
    )
