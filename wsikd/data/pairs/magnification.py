"""The same tissue at another magnification: resolution distillation without labels."""

from functools import lru_cache, partial

import numpy as np

from wsikd.data.pairs.partner import Partner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.data.patches.grid import RegionPatches
from wsikd.errors import ConfigError
from wsikd.geometry import Pixels, Size
from wsikd.pyramid.resample import resample


class MagnificationPartner(Partner):
    """Cuts the patch's field of view, in µm, from another level of the region store.

    Corners are rounded to whole pixels of that level. Where a slide serves a magnification at a
    resolution of its own, the field of view has more or fewer pixels, and is resampled.

    Raises
    ------
    ConfigError
        If the patches are not of the region store, or the magnification is not stated.
    StoreError
        If a region lacks the magnification.
    """

    def __init__(self, settings: PairingSettings, source: PatchSource) -> None:
        if not isinstance(source, RegionPatches):
            raise ConfigError("--pairing magnification takes regions; leave --images out")
        if settings.partner_mag is None:
            raise ConfigError("--partner-mag is required by --pairing magnification")
        mag = settings.partner_mag
        side = round(source.size.width * mag / source.magnification)
        if side < 1:
            raise ConfigError(f"--partner-mag {mag:g}: a patch has no pixel at it; raise --patch")
        super().__init__(
            source, f"{mag:g} {side} {settings.kernel}", size=Size(side, side), mag=mag
        )
        self._regions, self._kernel = source, settings.kernel
        for slide_id, region_id in source.regions():
            region, _ = source.region(slide_id, region_id)
            region.level(mag)  # refuses what was not prepared, before hours of reading
        read = partial(source.store.read_pixels, magnification=mag)
        self._read_region = lru_cache(maxsize=1)(read)

    def read(self, index: int) -> Pixels:
        """Cut the patch's field of view from the other level."""
        cut = self._regions.cuts[index]
        region, level = self._regions.region(cut.slide_id, cut.region_id)
        other = region.level(self.magnification)
        pixels = self._read_region(cut.slide_id, cut.region_id)
        rows = _span(cut.top, self.source.size.height, other.height, level.height)
        columns = _span(cut.left, self.source.size.width, other.width, level.width)
        return resample(np.ascontiguousarray(pixels[rows, columns]), self.size, self._kernel)


def _span(first: int, count: int, other: int, own: int) -> slice:
    """Find the pixels of an axis of `other` pixels that `count` of `own` cover, from `first`."""
    length = min(other, max(1, round(count * other / own)))
    start = min(round(first * other / own), other - length)
    return slice(start, start + length)
