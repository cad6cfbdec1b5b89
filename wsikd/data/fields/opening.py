"""From a slide or an image to its fields: what of it is segmented, and at which mpp."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import Field as Option

from wsikd.config import Settings
from wsikd.data.fields.field import Colour, Field, FileField, StoreField, brightest
from wsikd.data.fields.inputs import FieldInput
from wsikd.data.patches.folders import REGION_ID
from wsikd.errors import SlideError, StoreError
from wsikd.geometry import Mpp, Pixels, Region, Size, format_magnification, mpp_to_magnification
from wsikd.pyramid.levels import MAX_COARSER, PyramidSettings, plan_levels
from wsikd.pyramid.strips import read_overview
from wsikd.slides.resolution import PLAUSIBLE_MPP, resolution_of
from wsikd.store import RegionRecord, RegionStore
from wsikd.store.labels import LabelLevel
from wsikd.tissue import TissueSettings, find_tissue
from wsikd.tissue.glass import glass_colour

if TYPE_CHECKING:
    from wsikd.slides import SlideReader

DEFAULT_MPP = 0.25

_OVERVIEW_MPP = 16.0  # fine enough for the colour of glass
_SAMPLES = 277  # the TIFF tag of how many there are of a pixel


class ResolutionSettings(Settings):
    """At which resolution nuclei are segmented."""

    mpp: float | None = Option(
        None,
        gt=0,
        description="µm per pixel nuclei are segmented at; unset: 0.25 (40x), or what the model "
        "learnt at",
    )


class FieldSettings(Settings):
    """What of the inputs is segmented, and how it is read."""

    segment: ResolutionSettings = ResolutionSettings()
    tissue: TissueSettings = TissueSettings()
    mpp: float | None = Option(
        None,
        ge=PLAUSIBLE_MPP[0],
        le=PLAUSIBLE_MPP[1],
        description="µm per pixel of the inputs, where their files state none or a wrong one",
    )
    reader: str | None = Option(
        None, description="force a slide reader: openslide, tiffslide, image"
    )

    @property
    def target_mpp(self) -> float:
        """µm per pixel asked for, or 0.25."""
        return self.segment.mpp or DEFAULT_MPP


def open_fields(found: FieldInput, settings: FieldSettings) -> list[Field]:
    """Find what is segmented of a slide or an image.

    A picture without a resolution is taken whole and as it is; with one, whole and at the mpp asked
    for, as is a slide that is smaller than the smallest piece of tissue: a field of view. Of other
    slides, each piece of tissue is one field.

    Raises
    ------
    SlideError
        If it cannot be read, is grey or has a fourth channel, is too coarse, has no tissue, or has
        no resolution.
    StoreError
        If its regions cannot be read, or neither they nor a file have the resolution.
    """
    from wsikd.slides import open_slide  # noqa: PLC0415

    if found.store is not None:
        return list(_open_store(found, found.store, settings))
    assert found.path is not None
    with open_slide(found.path, reader=settings.reader) as opened:
        mpp = found.mpp or settings.mpp
        if _is_picture(opened):
            known = None if mpp is None else Mpp(mpp, mpp)
            return [_open_picture(found, opened, known, settings)]
        known = resolution_of(opened, mpp=mpp).mpp
        if math.prod(opened.size) * known.x * known.y < settings.tissue.min_area_mm2 * 1e6:
            return [_open_picture(found, opened, known, settings)]
        return _open_slide(found, opened, known, settings)


def _is_picture(opened: "SlideReader") -> bool:
    """Tell whether a file is a plain picture: one level, and no word of a microscope."""
    plain = len(opened.level_sizes) == 1 and opened.objective_power is None
    stated = opened.stated_mpp
    low, high = PLAUSIBLE_MPP
    return plain and (stated is None or not all(low <= value <= high for value in stated))


def _open_picture(
    found: FieldInput, opened: "SlideReader", known: Mpp | None, settings: FieldSettings
) -> Field:
    pixels = opened.read(Region(0, 0, opened.size))
    _refuse_colourless(opened.path, pixels)
    size, magnification = _size_at(opened.path, opened.size, known, settings)
    return FileField(
        slide_id=found.slide_id,
        region_id=REGION_ID,
        box=Region(0, 0, opened.size),
        slide_mpp=known,
        size=size,
        magnification=magnification,
        light=brightest(pixels),
        path=opened.path,
        reader=settings.reader,
    )


def _open_slide(
    found: FieldInput, opened: "SlideReader", known: Mpp, settings: FieldSettings
) -> list[Field]:
    _size_at(
        opened.path, opened.size, known, settings
    )  # too coarse? refused before tissue is sought
    light = slide_light(opened, known)
    fields: list[Field] = []
    for piece in find_tissue(opened, known, settings.tissue):
        size, magnification = _size_at(opened.path, piece.box.size, known, settings)
        fields.append(
            FileField(
                slide_id=found.slide_id,
                region_id=piece.region_id,
                box=piece.box,
                slide_mpp=known,
                size=size,
                magnification=magnification,
                light=light,
                outline=piece.outline,
                path=opened.path,
                reader=settings.reader,
            )
        )
    return fields


def _open_store(found: FieldInput, store: RegionStore, settings: FieldSettings) -> Iterator[Field]:
    from shapely.geometry import shape  # noqa: PLC0415

    record = store.read_slide(found.slide_id)
    outlines = {
        feature["properties"]["name"]: shape(feature["geometry"])
        for feature in store.read_outlines(found.slide_id)["features"]
    }
    magnification, known = mpp_to_magnification(settings.target_mpp), Mpp(*record.mpp)
    light = _stored_light(store, found.slide_id)
    for region in record.regions:
        box = Region(region.x, region.y, Size(region.width, region.height))
        about: dict[str, Any] = {
            "slide_id": found.slide_id,
            "region_id": region.region_id,
            "box": box,
            "slide_mpp": known,
            "magnification": magnification,
            "light": light,
            "outline": outlines.get(region.region_id),
            "coarser": tuple(_coarser(region, magnification)),
        }
        stored = [level for level in region.levels if level.magnification == magnification]
        if stored:
            image = store.image_path(found.slide_id, region.region_id)
            size = Size(stored[0].width, stored[0].height)
            yield StoreField(**about, size=size, path=image / stored[0].path)
        else:
            path = _slide_of(found, magnification)
            size, _ = _size_at(path, box.size, known, settings)
            reader = settings.reader or record.reader
            yield FileField(**about, size=size, path=path, reader=reader)


def _slide_of(found: FieldInput, magnification: float) -> Path:
    if found.path is None or not found.path.exists():
        where = (
            "slides.csv does not say where its slide is"
            if found.path is None
            else (f"its slide {found.path} is not there")
        )
        raise StoreError(
            f"{found.slide_id}: {format_magnification(magnification)} was not prepared, and "
            f"{where}; prepare it with --pyramid.magnifications, or bring the slide back"
        )
    return found.path


def _coarser(region: RegionRecord, magnification: float) -> Iterator[LabelLevel]:
    for level in region.levels:
        if level.magnification < magnification:
            size = Size(level.width, level.height)
            yield LabelLevel(size, Mpp(*level.mpp), level.magnification)


def _size_at(
    path: Path, size: Size, mpp: Mpp | None, settings: FieldSettings
) -> tuple[Size, float | None]:
    """Compute size and magnification at the mpp asked for; of unknown mpp, the size as it is.

    Raises
    ------
    SlideError
        If it is too coarse.
    """
    if mpp is None:
        return size, None
    target = settings.target_mpp
    coarsest = target * MAX_COARSER
    if max(mpp) > coarsest:
        raise SlideError(
            f"{path}: must be at most {coarsest:.4g} µm per pixel, is {max(mpp):.4g}; leave it "
            f"out, or segment at --segment.mpp {max(mpp):.3g}"
        )
    magnification = mpp_to_magnification(target)
    (level,) = plan_levels(size, mpp, PyramidSettings(magnifications=(magnification,)))
    return level.size, magnification


def slide_light(opened: "SlideReader", mpp: Mpp) -> Colour:
    """Measure the colour of the empty glass of a slide."""
    overview, _ = read_overview(opened, mpp, _OVERVIEW_MPP)
    red, green, blue = glass_colour(overview, opened.path)
    return float(red), float(green), float(blue)


def _stored_light(store: RegionStore, slide_id: str) -> Colour:
    overview = store.read_thumbnail(slide_id)
    red, green, blue = glass_colour(overview, store.path / slide_id)
    return float(red), float(green), float(blue)


def _refuse_colourless(path: Path, pixels: Pixels) -> None:
    """Refuse a picture without colours, or with a channel that is none.

    Raises
    ------
    SlideError
    """
    kind = _fourth_channel(path)
    if kind is not None:
        raise SlideError(f"{path}: must have three channels, has {kind}; save it as RGB")
    if (pixels[..., :1] == pixels).all():
        raise SlideError(
            f"{path}: must be in colour, is grey; nuclei are told by their stain, so leave it out"
        )


def _fourth_channel(path: Path) -> str | None:
    """Tell what the fourth channel of a picture is, unless it is an opacity that hides nothing."""
    try:
        with Image.open(path) as image:
            if image.mode == "CMYK":
                return "four (CMYK)"
            if image.mode == "RGB" and getattr(image, "tag_v2", {}).get(_SAMPLES) == 4:
                return "a fourth of no stated meaning"
            if not image.has_transparency_data:
                return None
            least = int(np.asarray(image.convert("RGBA"))[..., 3].min())
    except (OSError, ValueError):  # Pillow does not know it, and the reader that does gives RGB
        return None
    return None if least == 255 else "a fourth that is not opaque"
