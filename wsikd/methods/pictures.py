"""Pictures for the report, made where the regions are: outlined slides, one region of each class.

The report itself needs no region store; see `wsikd.runs.pictures`.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy import ndimage

from wsikd.errors import StoreError
from wsikd.files import replacing
from wsikd.geometry import Pixels, format_magnification
from wsikd.hashing import text_digest
from wsikd.locks import in_turn
from wsikd.runs.pictures import (
    Crop,
    FailedSlide,
    PictureFolder,
    Pictures,
    ShownRegion,
    ShownSlide,
)
from wsikd.store import LevelRecord, RegionRecord, RegionStore

_CLASSES = 4  # of which a region is shown
_PIXEL_LIMIT = 50_000_000  # a region is read whole to cut a small square out of it
_THUMBNAIL_SIDE = 520  # twice the size on the page, for dense screens
_OUTLINE = (0, 90, 181)  # told apart from haematoxylin and eosin by every reader
_CROP_UM = 400.0  # small enough that nuclei show at 10x
_JPEG_QUALITY = 82
_SMALL = 128  # px; up to here PNG, as JPEG blurs


def refresh_pictures(runs: Path, store: RegionStore, manifest: pd.DataFrame) -> Pictures:
    """Make the pictures of all prepared slides and of a region of each class.

    What is of a slide that is as it was is not made again. Pictures of slides that are in the
    manifest stay when their regions are not here: they were made where they are.

    Parameters
    ----------
    runs : Path
        The folder of all runs, which gets `pictures/`.
    store : RegionStore
        Holds the regions.
    manifest : DataFrame
        Slides with labels.

    Raises
    ------
    StoreError
        If `status.csv` or a slide's record is damaged.
    """
    with in_turn(runs / ".pictures.lock"):
        return _refresh(PictureFolder(runs), store, manifest)


def _refresh(folder: PictureFolder, store: RegionStore, manifest: pd.DataFrame) -> Pictures:
    folder.path.mkdir(parents=True, exist_ok=True)
    known = Pictures()
    with suppress(StoreError):  # what is damaged is made anew
        known = folder.read() or known
    before = {slide.slide_id: slide for slide in known.slides}
    here = store.slide_ids()
    kept = set(manifest["slide_id"]) - set(here)
    shown = [_show_slide(store, name, before.get(name), folder) for name in here]
    shown += [slide for slide in known.slides if slide.slide_id in kept]
    pictures = Pictures(
        slides=tuple(sorted(shown, key=lambda slide: slide.slide_id)),
        failed=tuple(_failed_slides(store)),
        regions=tuple(_show_regions(store, manifest, known, folder)) or known.regions,
    )
    folder.write(pictures)
    return pictures


def draw_thumbnail(store: RegionStore, slide_id: str) -> Image.Image:
    """Draw a slide's picture with the outlines of its tissue."""
    record = store.read_slide(slide_id)
    image = Image.fromarray(store.read_thumbnail(slide_id))
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    scale = np.array([image.width / record.width, image.height / record.height])
    pen = ImageDraw.Draw(image)
    for feature in store.read_outlines(slide_id)["features"]:
        for ring in _rings(feature["geometry"]):
            pen.line([tuple(point) for point in np.array(ring)[:, :2] * scale], _OUTLINE, width=3)
    return image


def crop_region(
    store: RegionStore, slide_id: str, region_id: str
) -> tuple[float, dict[float, Image.Image]]:
    """Cut the densest 400 µm of a region out of each of its magnifications.

    Returns
    -------
    side_um : float
        Side of the square of tissue shown; less than 400 µm where the region is smaller.
    crops : dict of float to Image
        By magnification, finest first. Pixels are the store's own, neither smoothed nor enlarged.
    """
    record = store.read_slide(slide_id)
    region = next(one for one in record.regions if one.region_id == region_id)
    levels = sorted(region.levels, key=lambda level: -level.magnification)
    extent = np.array([levels[0].width, levels[0].height]) * levels[0].mpp  # µm, (x, y)
    side_um = float(min(_CROP_UM, *extent))
    coarse = [level for level in levels if max(level.mpp) <= side_um / 8][-1:] or levels[:1]
    pixels = store.read_pixels(slide_id, region_id, coarse[0].magnification)
    corner = _densest(pixels, side_um, np.array(coarse[0].mpp))
    crops = {
        level.magnification: _crop(
            store.read_pixels(slide_id, region_id, level.magnification), corner, side_um, level
        )
        for level in levels
    }
    return side_um, crops


def _show_slide(
    store: RegionStore, slide_id: str, before: ShownSlide | None, folder: PictureFolder
) -> ShownSlide:
    record = store.read_slide(slide_id)
    made_of = text_digest(record.model_dump_json())
    if before is not None and before.made_of == made_of and folder.holds(before.picture):
        return before
    name = f"slides/{slide_id}.jpg"
    _save(draw_thumbnail(store, slide_id), folder.path / name)
    return ShownSlide(
        slide_id=slide_id,
        picture=name,
        regions=len(record.regions),
        mpp=sum(record.mpp) / 2,
        warnings=record.warnings,
        made_of=made_of,
    )


def _failed_slides(store: RegionStore) -> Iterator[FailedSlide]:
    path = store.path / "status.csv"
    if not path.exists():
        return
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        failed = table.loc[table["status"] == "failed", ["slide_id", "error"]]
    except (ValueError, KeyError):
        raise StoreError(
            f"{path}: must be a table of outcomes; run wsikd prepare, which writes it anew"
        ) from None
    for slide_id, error in zip(failed["slide_id"], failed["error"], strict=True):
        yield FailedSlide(slide_id=slide_id, error=error)


def _show_regions(
    store: RegionStore, manifest: pd.DataFrame, known: Pictures, folder: PictureFolder
) -> Iterator[ShownRegion]:
    """Show a large region of one slide per class."""
    before = {region.slide_id: region for region in known.regions}
    prepared = manifest[manifest["slide_id"].isin(store.slide_ids()) & (manifest["label"] != "")]
    firsts = prepared.sort_values(["label", "slide_id"]).groupby("label")["slide_id"].first()
    for label, slide_id in list(firsts.items())[:_CLASSES]:
        shown = before.get(slide_id)
        made_of = text_digest(store.read_slide(slide_id).model_dump_json())
        if shown is None or shown.made_of != made_of or not _is_there(shown, folder):
            shown = _cut_region(store, slide_id, made_of, folder)
        yield shown.model_copy(update={"label": str(label)})


def _is_there(region: ShownRegion, folder: PictureFolder) -> bool:
    return folder.holds(*(crop.picture for crop in region.crops))


def _cut_region(
    store: RegionStore, slide_id: str, made_of: str, folder: PictureFolder
) -> ShownRegion:
    """Cut squares out of a large region of a slide, whose label is not known here."""
    region_id = _choose_region(store.read_slide(slide_id).regions).region_id
    side_um, images = crop_region(store, slide_id, region_id)
    crops = []
    for magnification, image in images.items():
        suffix = "png" if max(image.size) <= _SMALL else "jpg"
        name = f"regions/{slide_id}/{region_id}-{magnification:g}x.{suffix}"
        _save(image, folder.path / name)
        size = f"{image.width} \N{MULTIPLICATION SIGN} {image.height} px"
        title = format_magnification(magnification)
        crops.append(Crop(magnification=title, picture=name, size=size))
    return ShownRegion(
        label="",
        slide_id=slide_id,
        region_id=region_id,
        side_um=round(side_um),
        crops=tuple(crops),
        made_of=made_of,
    )


def _choose_region(regions: Sequence[RegionRecord]) -> RegionRecord:
    by_area = sorted(regions, key=lambda region: region.area_um2)
    light = [region for region in by_area if _finest_pixels(region) <= _PIXEL_LIMIT]
    return light[-1] if light else by_area[0]


def _finest_pixels(region: RegionRecord) -> int:
    return max(level.width * level.height for level in region.levels)


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


def _crop(pixels: Pixels, corner: np.ndarray, side_um: float, level: LevelRecord) -> Image.Image:
    x, y = np.floor(corner / level.mpp).astype(int)
    width, height = np.maximum(1, np.rint(side_um / np.array(level.mpp))).astype(int)
    return Image.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))


def _rings(geometry: dict[str, Any]) -> list[Any]:
    """List the rings of a GeoJSON Polygon or MultiPolygon."""
    coordinates = geometry["coordinates"]
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return [ring for polygon in polygons for ring in polygon]


def _save(image: Image.Image, path: Path) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".png":
            image.save(file, "PNG", optimize=True)
        else:
            image.save(file, "JPEG", quality=_JPEG_QUALITY, optimize=True)
