"""Where a scanner made no pixels: from tile tables, transparency and stated bounds."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsikd.geometry import Region, Size

if TYPE_CHECKING:
    import tifffile

MOST_CELLS = 2**24
"""How many pixels of a level are looked at for transparency: a low level has fewer."""


def share_of_cells(
    mask: NDArray[np.bool_], size: Size, extent: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """Compute how much of each overview cell a coarser or finer mask covers.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        What is counted, such as one entry for each tile of a slide.
    size : Size
        Width and height of the overview.
    extent : tuple of float, optional
        Width and height of the slide in entries of `mask`, where its last row or column leaves the
        slide; by default all of `mask`.

    Returns
    -------
    ndarray of float32, shape (size.height, size.width)
        Share from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> share_of_cells(np.array([[False, True]]), Size(3, 1)).round(3).tolist()
    [[0.0, 0.5, 1.0]]
    """
    width, height = extent or mask.shape[::-1]
    rows = _means(mask.astype(np.float32), np.linspace(0, height, size.height + 1))
    return _means(rows.T, np.linspace(0, width, size.width + 1)).T


def is_outside(bounds: Region, slide: Size, size: Size) -> NDArray[np.bool_]:
    """Return which overview cells lie by half or more outside of the scanned rectangle.

    Parameters
    ----------
    bounds : Region
        What the file states as scanned, at level 0.
    slide : Size
        The whole slide at level 0.
    size : Size
        Width and height of the overview.

    Returns
    -------
    ndarray of bool, shape (size.height, size.width)
    """
    across = _overlaps(bounds.x, bounds.size.width, slide.width, size.width)
    down = _overlaps(bounds.y, bounds.size.height, slide.height, size.height)
    return np.outer(down, across) <= 0.5


def is_left_out(page: "tifffile.TiffPage", size: Size) -> NDArray[np.bool_]:
    """Return which overview cells lie by half or more in tiles that a TIFF level leaves out.

    Only the table of the tiles is read. A slide with no tile at all counts as scanned, as nothing
    is known of it then.
    """
    empty = np.array(page.databytecounts) == 0
    if not empty.any() or empty.all() or page.planarconfig != 1:
        return np.zeros((size.height, size.width), np.bool_)
    tile_height, tile_width = page.chunks[:2]
    rows, columns = -(-page.imagelength // tile_height), -(-page.imagewidth // tile_width)
    extent = page.imagewidth / tile_width, page.imagelength / tile_height
    return share_of_cells(empty[: rows * columns].reshape(rows, columns), size, extent) >= 0.5


def _means(values: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Average along the first axis between consecutive edges, which need not be whole numbers."""
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    low = np.minimum(edges.astype(int), len(values) - 1)
    part = (edges - low).astype(np.float32)[:, None]
    upto = sums[low] + part * values[low]
    means: NDArray[np.float32] = np.diff(upto, axis=0) / np.float32(edges[1] - edges[0])
    return means


def _overlaps(start: float, length: float, whole: float, cells: int) -> NDArray[np.float64]:
    """Compute the share of each of `cells` equal parts of `whole` that lies in an interval."""
    edges = np.clip(np.linspace(0, whole, cells + 1), start, start + length)
    return np.diff(edges) / (whole / cells)
