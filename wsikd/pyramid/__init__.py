"""Any rectangle of a slide at any µm per pixel, straight from level 0, strip by strip."""

from wsikd.pyramid.kernels import KERNELS
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.pyramid.strips import iter_strips, read_overview

__all__ = [
    "KERNELS",
    "PyramidSettings",
    "build_pyramid",
    "iter_strips",
    "plan_levels",
    "read_overview",
]
