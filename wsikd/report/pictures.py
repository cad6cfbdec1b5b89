"""The report's photographs, as data URIs: outlined slides, one region at all magnifications."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from shapely.geometry import shape

from wsikd.geometry import Pixels, format_magnification
from wsikd.store import LevelRecord, RegionStore

_THUMBNAIL_SIDE = 520  # twice the size on the page, for dense screens
_OUTLINE = (0, 90, 181)  # told apart from haematoxylin and eosin by every reader
_CROP_UM = 400.0  # small enough that nuclei show at 10x
_JPEG_QUALITY = 82


@dataclass(frozen=True)
class Crop:
    """A piece of a region at one magnification; all crops of a region show the same tissue."""

    magnification: str
    uri: str
    size: str


def draw_thumbnail(store: RegionStore, slide_id: str) -> str:
    """Draw a slide's picture with the outlines of its tissue; give a JPEG data URI."""
    record = store.read_slide(slide_id)
    with Image.open(store.thumbnail_path(slide_id)) as opened:
        image = opened.convert("RGB")
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    scale = np.array([image.width / record.width, image.height / record.height])
    pen = ImageDraw.Draw(image)
    for feature in store.read_outlines(slide_id)["features"]:
        for ring in _rings(feature["geometry"]):
            pen.line([tuple(point) for point in np.array(ring)[:, :2] * scale], _OUTLINE, width=3)
    return _jpeg(image)


def crop_region(store: RegionStore, slide_id: str, region_id: str) -> tuple[float, list[Crop]]:
    """Cut the densest 400 µm of a region out of each of its magnifications.

    Returns
    -------
    side_um : float
        Side of the square of tissue shown; less than 400 µm where the region is smaller.
    crops : list of Crop
        Finest first. Pixels are the store's own, neither smoothed nor enlarged.
    """
    record = store.read_slide(slide_id)
    region = next(one for one in record.regions if one.region_id == region_id)
    levels = sorted(region.levels, key=lambda level: -level.magnification)
    extent = np.array([levels[0].width, levels[0].height]) * levels[0].mpp  # µm, (x, y)
    side_um = float(min(_CROP_UM, *extent))
    coarse = [level for level in levels if max(level.mpp) <= side_um / 8][-1:] or levels[:1]
    pixels = store.read_pixels(slide_id, region_id, coarse[0].magnification)
    corner = _densest(pixels, side_um, np.array(coarse[0].mpp))
    crops = []
    for level in levels:
        pixels = store.read_pixels(slide_id, region_id, level.magnification)
        crops.append(_crop(pixels, corner, side_um, level))
    return side_um, crops


def _densest(pixels: Pixels, side_um: float, mpp: np.ndarray) -> np.ndarray:
    """Find the upper left corner, in µm, of the square that holds the most stain."""
    stain = 255.0 - pixels.mean(axis=2)
    width, height = np.maximum(1, np.rint(side_um / mpp)).astype(int)
    width, height = min(width, stain.shape[1]), min(height, stain.shape[0])
    summed = ndimage.uniform_filter(stain, (height, width), mode="constant")
    # the filter's value at (y, x) is that of the square whose corner is half a side before it
    inner = summed[height // 2 :, width // 2 :][
        : stain.shape[0] - height + 1, : stain.shape[1] - width + 1
    ]
    y, x = np.unravel_index(inner.argmax(), inner.shape)
    corner: np.ndarray = np.array([x, y]) * mpp
    return corner


def _crop(pixels: Pixels, corner: np.ndarray, side_um: float, level: LevelRecord) -> Crop:
    x, y = np.floor(corner / level.mpp).astype(int)
    width, height = np.maximum(1, np.rint(side_um / np.array(level.mpp))).astype(int)
    image = Image.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))
    return Crop(
        magnification=format_magnification(level.magnification),
        uri=_png(image) if max(image.size) <= 128 else _jpeg(image),
        size=f"{image.width} \N{MULTIPLICATION SIGN} {image.height} px",
    )


def _rings(geometry: dict[str, Any]) -> list[Any]:
    outline = shape(geometry)
    polygons = getattr(outline, "geoms", [outline])
    return [ring.coords for one in polygons for ring in (one.exterior, *one.interiors)]


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
