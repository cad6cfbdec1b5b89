"""Draw slides that look like H&E at a glance, as real pyramidal Aperio-style files.

Three classes differ in structure, not in colour: at low magnification by how the glands lie and
stretch, at high magnification alone by size and shape of their nuclei. Diseased tissue is a focus
inside normal tissue, and the strength of the stains is chance.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, field_validator
from shapely import Polygon

from wsikd.config import Settings
from wsikd.drawn.painting import Painter
from wsikd.drawn.plan import STRUCTURES, blend, draw_plan
from wsikd.errors import ResumeError
from wsikd.files import replacing, write_json, write_text
from wsikd.geometry import Pixels, Size, mpp_to_magnification

CLASSES = tuple(STRUCTURES)
_LEVEL_STEP = 4
_SMALLEST_SIDE = 100  # of the last level, in pixels
_GLASS_UM = 250.0  # between pieces


class DrawSettings(Settings):
    """How slides are drawn."""

    slides: int = Field(24, ge=1, description="labelled slides, dealt to the classes in turn")
    auxiliary: int = Field(0, ge=0, description="further slides without label")
    slides_per_patient: int = Field(1, ge=1, description="consecutive slides of one class")
    seed: int = Field(0, ge=0, description="all chance comes from it")
    mpp: float = Field(1.0, ge=0.1, le=8.0, description="resolution of level 0, in µm per pixel")
    pieces: int = Field(3, ge=1, description="pieces of tissue on a slide")
    piece_mm: tuple[float, float] = Field(
        (1.0, 1.5), description="shortest and longest side of a piece's box, in mm"
    )
    focus: float = Field(
        0.6, gt=0, le=1, description="fraction of a diseased slide's tissue that is diseased"
    )
    coarse_signal: float = Field(
        0.5, ge=0, le=1, description="how far the glands' order shows the class, 1 plainly"
    )
    fine_signal: float = Field(
        1.0, ge=0, le=1.5, description="how far the nuclei show the class, 1 plainly, more overdone"
    )
    stain_variation: float = Field(
        0.15, ge=0, description="relative spread of the stains from slide to slide"
    )
    tile: int = Field(256, multiple_of=16, ge=16, description="side of the file's tiles, in pixels")
    jpeg_quality: int = Field(88, ge=1, le=100, description="quality of the JPEG tiles")

    @field_validator("piece_mm")
    @classmethod
    def _check_sides(cls, sides: tuple[float, float]) -> tuple[float, float]:
        if not 0.1 <= sides[0] <= sides[1]:
            raise ValueError(f"must be 0.1 or more and ascending, got {sides[0]:g}, {sides[1]:g}")
        return sides


def draw_slides(folder: Path, settings: DrawSettings) -> Path:
    """Draw a folder of slides with their table `slides.csv` and, under `outlines/`, the truth.

    Slides that were drawn there before are drawn again; `drawing.json` tells that they were, and
    how.

    Returns
    -------
    Path
        The table: slide_id, patient_id, path, label, split; auxiliary slides have no label and
        the split "auxiliary".

    Raises
    ------
    ResumeError
        If the folder holds files and was not drawn.
    """
    _claim(folder, settings)
    rows = []
    for index in range(settings.slides + settings.auxiliary):
        patient = index // settings.slides_per_patient
        label, slide_id = CLASSES[patient % len(CLASSES)], f"slide-{index:03d}"
        path = folder / f"{slide_id}.svs"
        outlines = draw_slide(path, label, settings, index=index)
        write_json(folder / "outlines" / f"{slide_id}.geojson", _to_geojson(outlines))
        auxiliary = index >= settings.slides
        rows.append(
            {
                "slide_id": slide_id,
                "patient_id": f"patient-{patient:03d}",
                "path": path.name,
                "label": "" if auxiliary else label,
                "split": "auxiliary" if auxiliary else "",
            }
        )
    table = folder / "slides.csv"
    write_text(table, pd.DataFrame(rows).to_csv(index=False))
    return table


def _claim(folder: Path, settings: DrawSettings) -> None:
    """Mark a folder as drawn before anything is drawn in it, unless it is someone's own."""
    marker = folder / "drawing.json"
    if folder.exists() and not marker.exists():
        held = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        if held:
            raise ResumeError(
                f"{folder}: must be empty or drawn by wsikd, holds {held[0]}; choose another folder"
            )
    write_json(marker, settings.model_dump(mode="json"))


def draw_slide(path: Path, label: str, settings: DrawSettings, *, index: int = 0) -> list[Polygon]:
    """Draw one slide; memory grows with its pixels only as 1/16 of them.

    Parameters
    ----------
    path : Path
        File to write.
    label : str
        One of `CLASSES`.
    settings : DrawSettings
        How to draw; how many is not looked at.
    index : int
        Number of the slide: with the seed it settles all chance.

    Returns
    -------
    list of Polygon
        Borders of the pieces, in level-0 pixels.
    """
    random = np.random.default_rng([settings.seed, index])
    outlines, size_um = _place_pieces(settings, random)
    structure = blend(STRUCTURES[label], settings.coarse_signal, settings.fine_signal)
    plan = draw_plan(outlines, size_um, structure, settings.focus, random)
    painter = Painter(plan, settings.mpp, settings.stain_variation, random)
    size = Size(*(int(side / settings.mpp) for side in size_um))
    with replacing(path) as temporary:
        _write_pyramid(temporary, painter, size, settings)
    return [
        shapely.transform(outline, lambda points: points / settings.mpp) for outline in outlines
    ]


def _place_pieces(
    settings: DrawSettings, random: np.random.Generator
) -> tuple[list[Polygon], tuple[float, float]]:
    """Put the pieces on a grid of cells with glass between; outlines and slide size in µm."""
    columns = int(np.ceil(np.sqrt(settings.pieces)))
    rows = int(np.ceil(settings.pieces / columns))
    cell = 1000 * settings.piece_mm[1] + _GLASS_UM
    outlines = []
    for piece in range(settings.pieces):
        sides = 1000 * random.uniform(*settings.piece_mm, size=2)
        spare = cell - _GLASS_UM / 2 - sides
        corner = _GLASS_UM / 4 + random.uniform(0, 1, 2) * spare
        cell_corner = cell * np.array([piece % columns, piece // columns])
        outlines.append(Polygon(cell_corner + corner + sides * _blob(random)))
    return outlines, (columns * cell, rows * cell)


def _blob(random: np.random.Generator) -> NDArray[np.float64]:
    """Draw a round border with bays, in a box from 0 to 1, shape (96, 2)."""
    around = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    waves = np.arange(2, 7)[:, None]
    bays = np.cos(waves * around + random.uniform(0, 2 * np.pi, waves.shape))
    radius = 1 + (random.normal(0, 0.35, waves.shape) / waves * bays).sum(axis=0)
    points = radius.clip(0.4)[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    unit: NDArray[np.float64] = (points - low) / (high - low)
    return unit


def _write_pyramid(path: Path, painter: Painter, size: Size, settings: DrawSettings) -> None:
    """Write levels and thumbnail in Aperio's order: level 0, thumbnail, further levels."""
    reduced = np.zeros((-(-size.height // _LEVEL_STEP), -(-size.width // _LEVEL_STEP), 3), np.uint8)
    with tifffile.TiffWriter(path, bigtiff=size.width * size.height > 2**30) as writer:
        options: dict[str, Any] = {
            "photometric": "rgb",  # with "ycbcr" the colours would come back wrong
            "compression": "jpeg",
            "compressionargs": {"level": settings.jpeg_quality},
            "software": False,
            "metadata": None,
        }
        tiled = {**options, "tile": (settings.tile, settings.tile), "dtype": np.uint8}
        writer.write(
            _paint_tiles(painter, size, settings.tile, reduced),
            shape=(size.height, size.width, 3),
            description=_describe(size, settings),
            **tiled,
        )
        writer.write(np.asarray(Image.fromarray(reduced).resize((256, 256))), **options)
        while min(reduced.shape[:2]) >= _SMALLEST_SIDE:
            writer.write(reduced, description=_describe(size, settings), **tiled)
            reduced = np.asarray(Image.fromarray(reduced).reduce(_LEVEL_STEP))


def _paint_tiles(painter: Painter, size: Size, tile: int, reduced: Pixels) -> Iterator[Pixels]:
    """Paint tile after tile, row by row, and put each one's mean into the next level."""
    for top in range(0, size.height, tile):
        for left in range(0, size.width, tile):
            part = Size(min(tile, size.width - left), min(tile, size.height - top))
            pixels = painter.paint(left, top, part)
            small = np.asarray(Image.fromarray(pixels).reduce(_LEVEL_STEP))
            row, column = top // _LEVEL_STEP, left // _LEVEL_STEP
            reduced[row : row + len(small), column : column + small.shape[1]] = small
            yield pixels


def _describe(size: Size, settings: DrawSettings) -> str:
    power = mpp_to_magnification(settings.mpp)
    return (
        f"Aperio Image Library (drawn)\r\n{size.width}x{size.height}"
        f" ({settings.tile}x{settings.tile}) JPEG/RGB Q={settings.jpeg_quality}"
        f"|AppMag = {power:g}|MPP = {settings.mpp:g}"
    )


def _to_geojson(outlines: list[Polygon]) -> dict[str, object]:
    features = [
        {
            "type": "Feature",
            "properties": {"name": f"piece {number}"},
            "geometry": shapely.geometry.mapping(outline),
        }
        for number, outline in enumerate(outlines)
    ]
    return {"type": "FeatureCollection", "features": features}
