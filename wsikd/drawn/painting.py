"""Paint a plan of drawn tissue in haematoxylin and eosin, any rectangle by itself."""

import functools
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from wsikd.drawn.plan import MARGIN_UM, PLAN_MPP, Nuclei, Plan
from wsikd.geometry import Pixels, Size

# optical density of full stain in red, green and blue
_HAEMATOXYLIN = np.array([1.25, 1.50, 0.70])
_EOSIN = np.array([0.12, 0.85, 0.42])
_GLASS = np.array([244, 242, 245])
_NUCLEUS_STAIN = 190  # of 255
_REACH_UM = 12.0  # farther than any nucleus reaches from its centre
_SOFTNESS_UM = 2 * PLAN_MPP  # the plan is blurred this far where it is enlarged
_TEXTURE_SIDE = 1024
_DIRECTIONS = 16


class Painter:
    """Paints rectangles of a planned slide.

    Parameters
    ----------
    plan : Plan
        What is on the slide.
    mpp : float
        µm per pixel of the painting.
    stain_variation : float
        Relative spread of the strength and the hue of both stains from slide to slide.
    random : Generator
        Where the slide's stain and texture come from.
    """

    def __init__(
        self, plan: Plan, mpp: float, stain_variation: float, random: np.random.Generator
    ) -> None:
        self._plan = plan
        self._mpp = mpp
        self._colours = _mix_stains(stain_variation, random)
        self._texture = _weave(mpp, random)
        order = np.argsort(plan.nuclei.y)
        self._nuclei = Nuclei(*(column[order] for column in plan.nuclei))

    def paint(self, x: int, y: int, size: Size) -> Pixels:
        """Paint one rectangle of the level-0 frame.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            The same pixels whichever rectangle they are painted with.
        """
        halo = math.ceil(_SOFTNESS_UM / self._mpp)
        left, top = x - halo, y - halo
        width, height = size.width + 2 * halo, size.height + 2 * halo
        box = (*self._in_plan(left, top), *self._in_plan(left + width, top + height))
        if self._plan.eosin.crop(box).getbbox() is None:
            return np.full((size.height, size.width, 3), _GLASS, np.uint8)
        eosin, haematoxylin = (
            np.asarray(stain.resize((width, height), Image.Resampling.BILINEAR, box))[
                halo : halo + size.height, halo : halo + size.width
            ]
            for stain in (self._plan.eosin, self._plan.haematoxylin)
        )
        rows, columns = np.arange(y, y + size.height), np.arange(x, x + size.width)
        texture = self._texture[np.ix_(rows % _TEXTURE_SIDE, columns % _TEXTURE_SIDE)]
        blue = np.maximum(haematoxylin, self._stamp(x, y, size)) * texture >> 7
        pink = eosin * texture >> 7
        index = np.minimum(blue, 255) << 8 | np.minimum(pink, 255)
        pixels: Pixels = np.take(self._colours, index, axis=0)
        return pixels

    def _in_plan(self, x: int, y: int) -> tuple[float, float]:
        """Turn a place in level-0 pixels into one in the plan's pictures."""
        return (MARGIN_UM + x * self._mpp) / PLAN_MPP, (MARGIN_UM + y * self._mpp) / PLAN_MPP

    def _stamp(self, left: int, top: int, size: Size) -> NDArray[np.uint8]:
        """Put the nuclei that reach into a rectangle on an empty sheet."""
        reach = math.ceil(_REACH_UM / self._mpp) + 2
        sheet = np.zeros((size.height + 4 * reach, size.width + 4 * reach), np.uint8)
        in_rows = slice(
            *np.searchsorted(
                self._nuclei.y,
                [(top - reach) * self._mpp, (top + size.height + reach) * self._mpp],
            )
        )
        x, y, long, short, angle = (column[in_rows] for column in self._nuclei)
        columns, rows = np.floor(x / self._mpp).astype(int), np.floor(y / self._mpp).astype(int)
        near = (columns > left - reach) & (columns < left + size.width + reach)
        turns = (angle / np.pi * _DIRECTIONS).round().astype(int) % _DIRECTIONS
        placed = (columns - left, rows - top, turns, (long * 4).round(), (short * 4).round())
        for column, row, turn, long_quarters, short_quarters in zip(
            *(values[near].tolist() for values in placed), strict=True
        ):
            stamp = _nucleus(long_quarters / 4 / self._mpp, short_quarters / 4 / self._mpp, turn)
            corner_x = column + 2 * reach - len(stamp) // 2
            corner_y = row + 2 * reach - len(stamp) // 2
            place = sheet[corner_y : corner_y + len(stamp), corner_x : corner_x + len(stamp)]
            np.maximum(place, stamp, out=place)
        return sheet[2 * reach : -2 * reach, 2 * reach : -2 * reach]


@functools.lru_cache(maxsize=4096)
def _nucleus(long: float, short: float, turn: int) -> NDArray[np.uint8]:
    """Draw one nucleus, half axes in pixels, with a border of one pixel's softness."""
    angle = np.pi * turn / _DIRECTIONS
    radius = math.ceil(max(long, short) + 1)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = np.hypot(along / long, across / short)
    inside = ((1 - distance) * short + 0.5).clip(0, 1)
    drawn: NDArray[np.uint8] = (_NUCLEUS_STAIN * inside).astype(np.uint8)
    return drawn


def _mix_stains(variation: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Tabulate the colour of 256 x 256 stain strengths, shape (65536, 3), by Beer and Lambert."""
    strength = np.exp(variation * random.normal(size=2))
    hue = np.exp(0.5 * variation * random.normal(size=(2, 3)))
    stains = np.stack([_HAEMATOXYLIN, _EOSIN]) * hue * strength[:, None]
    amounts = np.arange(256) / 255
    density = amounts[:, None, None] * stains[0] + amounts[None, :, None] * stains[1]
    colours: NDArray[np.uint8] = (_GLASS * np.exp(-density)).round().astype(np.uint8)
    return colours.reshape(-1, 3)


def _weave(mpp: float, random: np.random.Generator) -> NDArray[np.uint16]:
    """Make the fine structure of tissue as a seamless square of factors, 128 for one."""
    shape = (_TEXTURE_SIDE, _TEXTURE_SIDE)
    grains = gaussian_filter(random.normal(size=shape), 0.8 / mpp, mode="wrap")
    fibres = gaussian_filter(random.normal(size=shape), (1.0 / mpp, 6.0 / mpp), mode="wrap")
    woven = 1 + 0.10 * grains / grains.std() + 0.12 * fibres / fibres.std()
    factors: NDArray[np.uint16] = (128 * woven.clip(0.4, 1.6)).astype(np.uint16)
    return factors
