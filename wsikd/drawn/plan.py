"""Where drawn tissue has its glands and nuclei, class by class.

A plan of the whole slide is made on a coarse grid, from which any tile can be painted alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely import Polygon

Columns = NDArray[np.float64]
Mask = NDArray[np.bool_]

PLAN_MPP = 2.0
MARGIN_UM = 16.0  # the plan reaches this far beyond the slide: more than any nucleus
_SPACING_UM = 110.0  # from gland to gland
_RADIUS_UM = 42.0  # of a gland
_RING_NUCLEI = 34  # of normal size in one gland
_STROMA_PER_MM2 = 1200.0
_FOCUS_UM = 300.0  # extent of diseased and of normal parts
_THICKNESS_UM = 100.0  # extent of thicker and thinner parts


class Structure(NamedTuple):
    """How the glands of a class look; all classes hold about as much of each stain.

    Attributes
    ----------
    disorder : float
        Standard deviation of a gland's place about its lattice point, in lattice spacings.
    elongation : float
        Long over short side of a gland; with `disorder`, what low magnification shows.
    nucleus_um : tuple of float
        Half axes of a gland's nuclei, along and across the gland's radius.
    pleomorphism : float
        Relative spread of the nuclei's size; with `nucleus_um`, what only high magnification shows.
    """

    disorder: float
    elongation: float
    nucleus_um: tuple[float, float]
    pleomorphism: float


STRUCTURES = {
    "normal": Structure(0.06, 1.15, (4.6, 1.9), 0.08),
    "reactive": Structure(0.08, 1.80, (2.5, 2.1), 0.08),
    "tumour": Structure(0.30, 1.30, (6.2, 5.2), 0.35),
}


class Nuclei(NamedTuple):
    """Nuclei as columns: place and half axes in µm, direction of the long axis in radians."""

    x: Columns
    y: Columns
    long: Columns
    short: Columns
    angle: Columns


class Glands(NamedTuple):
    """Elliptic glands as columns: place and half axes in µm, direction of the long axis."""

    x: Columns
    y: Columns
    long: Columns
    short: Columns
    angle: Columns


@dataclass(frozen=True)
class Plan:
    """A slide before it is painted: its stain without nuclei at `PLAN_MPP`, and the nuclei.

    The pictures begin `MARGIN_UM` to the left of and above the slide; 255 is full stain.
    """

    haematoxylin: Image.Image
    eosin: Image.Image
    nuclei: Nuclei


def blend(structure: Structure, coarse: float, fine: float) -> Structure:
    """Weaken what tells a class from normal at low (`coarse`) and at high magnification (`fine`).

    Examples
    --------
    >>> blend(STRUCTURES["tumour"], 0.0, 1.0).disorder == STRUCTURES["normal"].disorder
    True
    """
    normal = STRUCTURES["normal"]

    def between(usual: float, own: float, share: float) -> float:
        return usual + share * (own - usual)

    (usual_long, usual_short), (long, short) = normal.nucleus_um, structure.nucleus_um
    return Structure(
        between(normal.disorder, structure.disorder, coarse),
        between(normal.elongation, structure.elongation, coarse),
        (between(usual_long, long, fine), between(usual_short, short, fine)),
        between(normal.pleomorphism, structure.pleomorphism, fine),
    )


def draw_plan(
    outlines: list[Polygon],
    size_um: tuple[float, float],
    structure: Structure,
    focus: float,
    random: np.random.Generator,
) -> Plan:
    """Lay out the tissue of a slide.

    Parameters
    ----------
    outlines : list of Polygon
        Pieces of tissue, in µm from the slide's top left corner.
    size_um : tuple of float
        Width and height of the slide.
    structure : Structure
        How diseased tissue looks; the rest is normal.
    focus : float
        Fraction of the tissue's area that is diseased.
    random : Generator
        Where all chance comes from.
    """
    width, height = (int(np.ceil((side + 2 * MARGIN_UM) / PLAN_MPP)) + 1 for side in size_um)
    shape = (height, width)
    tissue = _fill(shape, [np.array(outline.exterior.coords) for outline in outlines])
    fields = _slow_noise(shape, _FOCUS_UM, random)
    diseased = tissue & (fields > np.quantile(fields[tissue], 1 - focus))
    glands, in_focus = _place_glands(outlines, diseased, structure, random)
    epithelium = tissue & _fill(shape, _ellipses(glands, 1.0))
    lumen = tissue & _fill(shape, _ellipses(glands, 0.5))
    ring = _ring_nuclei(glands, in_focus, structure, random)
    scattered = _stroma_nuclei(tissue & ~epithelium, random)
    nuclei = Nuclei(*(np.concatenate(columns) for columns in zip(ring, scattered, strict=True)))
    kept = _sample(tissue & ~lumen, nuclei.x, nuclei.y)
    thickness = 1 + 0.15 * _slow_noise(shape, _THICKNESS_UM, random)
    eosin = tissue * np.where(lumen, 12, np.where(epithelium, 75, 120)) * thickness
    haematoxylin = tissue * np.where(epithelium & ~lumen, 50, 14) * thickness
    return Plan(
        Image.fromarray(haematoxylin.clip(0, 255).astype(np.uint8)),
        Image.fromarray(eosin.clip(0, 255).astype(np.uint8)),
        Nuclei(*(column[kept] for column in nuclei)),
    )


def _place_glands(
    outlines: list[Polygon], diseased: Mask, structure: Structure, random: np.random.Generator
) -> tuple[Glands, Mask]:
    """Put glands on a jittered lattice inside the outlines; also tell which are diseased."""
    places = np.concatenate([_lattice(outline, random) for outline in outlines])
    in_focus = _sample(diseased, *places.T)
    normal = STRUCTURES["normal"]
    disorder = np.where(in_focus, structure.disorder, normal.disorder)
    places += _SPACING_UM * disorder[:, None] * random.normal(size=places.shape)
    inner = shapely.union_all([outline.buffer(-_RADIUS_UM) for outline in outlines])
    inside = shapely.contains_xy(inner, places)
    (x, y), in_focus = places[inside].T, in_focus[inside]
    stretch = np.where(in_focus, structure.elongation, normal.elongation)
    stretch = np.sqrt(1 + (stretch - 1) * random.uniform(0.6, 1.4, len(x)))  # area stays
    radius = _RADIUS_UM * random.normal(1.0, 0.12, len(x)).clip(0.7, 1.3)
    angle = random.uniform(0, np.pi, len(x))
    return Glands(x, y, radius * stretch, radius / stretch, angle), in_focus


def _lattice(outline: Polygon, random: np.random.Generator) -> Columns:
    """Compute the points of a randomly turned hexagonal lattice around an outline, shape (n, 2)."""
    left, top, right, bottom = outline.bounds
    reach = np.hypot(right - left, bottom - top) / 2
    steps = np.arange(-reach, reach, _SPACING_UM)
    column, row = np.meshgrid(steps, steps * np.sqrt(3) / 2)
    column[1::2] += _SPACING_UM / 2
    turn = random.uniform(0, np.pi)
    x = column * np.cos(turn) - row * np.sin(turn) + (left + right) / 2
    y = column * np.sin(turn) + row * np.cos(turn) + (top + bottom) / 2
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    return points[shapely.contains_xy(outline, points)]


def _ring_nuclei(
    glands: Glands, in_focus: Mask, structure: Structure, random: np.random.Generator
) -> Nuclei:
    """Line every gland with nuclei: the larger they are, the fewer, so that the stain stays."""
    normal = STRUCTURES["normal"]
    own_count = round(_RING_NUCLEI * _mean_area(normal) / _mean_area(structure))
    counts = np.where(in_focus, own_count, _RING_NUCLEI)
    gland = np.repeat(np.arange(len(counts)), counts)
    x, y, long, short, angle = (column[gland] for column in glands)
    first = np.cumsum(counts) - counts  # of each gland's nuclei
    turns = (np.arange(len(gland)) - first[gland]) / counts[gland]
    around = 2 * np.pi * (turns + random.normal(0, 0.006, len(gland)))
    depth = random.normal(0.77, 0.04, len(gland))  # between lumen, 0.5, and border, 1
    along, across = depth * long * np.cos(around), depth * short * np.sin(around)
    offset_x = along * np.cos(angle) - across * np.sin(angle)
    offset_y = along * np.sin(angle) + across * np.cos(angle)
    spread = np.where(in_focus, structure.pleomorphism, normal.pleomorphism)[gland]
    scale = (1 + spread * random.normal(size=len(gland))).clip(0.4, 1.8)
    axes = np.where(in_focus[gland, None], structure.nucleus_um, normal.nucleus_um) * scale[:, None]
    direction = np.arctan2(offset_y, offset_x) + random.normal(0, 0.15, len(gland))
    return Nuclei(x + offset_x, y + offset_y, axes[:, 0], axes[:, 1], direction)


def _mean_area(structure: Structure) -> float:
    """Compute the mean of the product of a nucleus's half axes, whose spread adds to it."""
    along, across = structure.nucleus_um
    return along * across * (1 + structure.pleomorphism**2)


def _stroma_nuclei(stroma: Mask, random: np.random.Generator) -> Nuclei:
    """Scatter small nuclei between the glands."""
    rows, columns = np.nonzero(stroma)
    count = int(len(rows) * (PLAN_MPP / 1000) ** 2 * _STROMA_PER_MM2)
    chosen = random.integers(0, max(1, len(rows)), count)
    x = (columns[chosen] + random.uniform(size=count)) * PLAN_MPP - MARGIN_UM
    y = (rows[chosen] + random.uniform(size=count)) * PLAN_MPP - MARGIN_UM
    long, short = random.uniform(2.5, 4.5, count), random.uniform(1.2, 2.2, count)
    return Nuclei(x, y, long, short, random.uniform(0, np.pi, count))


def _ellipses(glands: Glands, scale: float) -> Iterable[Columns]:
    around = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    for x, y, long, short, angle in zip(*glands, strict=True):
        along, across = scale * long * np.cos(around), scale * short * np.sin(around)
        yield np.stack(
            [
                x + along * np.cos(angle) - across * np.sin(angle),
                y + along * np.sin(angle) + across * np.cos(angle),
            ],
            axis=1,
        )


def _fill(shape: tuple[int, int], polygons: Iterable[Columns]) -> Mask:
    """Fill polygons given in µm on the plan's grid."""
    picture = Image.new("L", shape[::-1])
    draw = ImageDraw.Draw(picture)
    for polygon in polygons:
        draw.polygon(((polygon + MARGIN_UM) / PLAN_MPP).ravel().tolist(), fill=1)
    return np.asarray(picture) > 0


def _sample(mask: Mask, x: Columns, y: Columns) -> Mask:
    """Look places in µm up on the plan's grid; False beyond it."""
    column = ((x + MARGIN_UM) / PLAN_MPP).astype(int)
    row = ((y + MARGIN_UM) / PLAN_MPP).astype(int)
    inside = (row >= 0) & (column >= 0) & (row < mask.shape[0]) & (column < mask.shape[1])
    found: Mask = inside & mask[row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)]
    return found


def _slow_noise(
    shape: tuple[int, int], extent_um: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Compute smooth noise of about unit deviation on the plan's grid."""
    cells = [int(side * PLAN_MPP / extent_um) + 3 for side in shape]
    noise = Image.fromarray(random.normal(size=cells).astype(np.float32))
    smooth: NDArray[np.float32] = np.asarray(noise.resize(shape[::-1], Image.Resampling.BICUBIC))
    return smooth
