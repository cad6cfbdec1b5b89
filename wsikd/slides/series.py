"""Which picture of a TIFF is the slide."""

import tifffile

from wsikd.slides.tiles import UnsupportedError

_OF_LIKE_SIZE = 1 / 3  # of the largest; a half-size copy has a quarter of its pixels


def choose_series(file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """Return the slide: of Aperio and Hamamatsu the first picture, else the largest.

    Labels and overviews of the glass stand first in some OME-TIFF.

    Raises
    ------
    UnsupportedError
        If another picture is nearly as large, so that it may be a second scan, or if the picture
        is none of a single plane.
    """
    first = file.series[0]
    if file.is_svs or file.is_ndpi:
        return _flat(first)
    ranked = sorted(file.series, key=_area, reverse=True)
    like = [series for series in ranked if _area(series) > _OF_LIKE_SIZE * _area(ranked[0])]
    if len(like) > 1:
        sizes = " and ".join("{1} x {0}".format(*_height_width(series)) for series in like[:2])
        raise UnsupportedError(f"{len(like)} pictures of like size, such as {sizes}")
    return _flat(ranked[0])


def pages_of(series: tifffile.TiffPageSeries) -> list[tifffile.TiffPage]:
    """Return the page of each level of a picture, the largest first."""
    pages = [level.pages[0] for level in series.levels]
    return [page.aspage() for page in pages if page is not None]


def _flat(series: tifffile.TiffPageSeries) -> tifffile.TiffPageSeries:
    if series.axes not in ("YXS", "YX", "SYX"):
        raise UnsupportedError(f"axes {series.axes} of {' x '.join(map(str, series.shape))}")
    return series


def _height_width(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return int(sizes.get("Y", 0)), int(sizes.get("X", 0))


def _area(series: tifffile.TiffPageSeries) -> int:
    height, width = _height_width(series)
    return height * width
