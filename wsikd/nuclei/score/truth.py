"""True nuclei from the files that labelled sets ship: outlines, matrices, masks.

Every reader returns an image of the numbers of nuclei; numbers can have gaps.
"""

import math
import zlib
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from skimage.draw import polygon

from wsikd.errors import SlideError
from wsikd.geometry import Size

Instances = NDArray[np.int32]

_MATRIX = "inst_map"
_UNREADABLE = (  # what loadmat has for damaged files and for those of MATLAB 7.3
    MatReadError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    IndexError,
    zlib.error,
)


class Truth(NamedTuple):
    """The nuclei of an image.

    Attributes
    ----------
    instances : ndarray of int32, shape (height, width)
        0 is background.
    skipped : int
        Outlines that mark no pixel: fewer than three corners, no extent, or outside of the image.
    """

    instances: Instances
    skipped: int


def read_outlines(path: Path, size: Size) -> Truth:
    """Draw the polygons of an XML file of Aperio's ImageScope.

    Polygons are drawn in the order of the file, each over those before, as
    `skimage.draw.polygon` does: whole numbers are centres of pixels, and a pixel is inside if its
    centre is. All layers (`Annotation`) are drawn.

    Parameters
    ----------
    path : Path
        Corners are `Vertex` elements with X and Y, in pixels of the image.
    size : Size
        Of the image.

    Raises
    ------
    SlideError
        If the file is no XML, has no regions, or a corner is not two numbers.
    """
    try:
        # expat limits what entities expand to, and ElementTree follows none to another file
        root = ElementTree.parse(path).getroot()  # noqa: S314
    except ElementTree.ParseError as error:
        raise SlideError(f"{path}: must be XML; {error}; copy it again") from None
    if root.find(".//Regions") is None:
        raise SlideError(f"{path}: must hold Regions as ImageScope writes them, is a {root.tag}")
    instances, skipped = np.zeros((size.height, size.width), np.int32), 0
    for number, region in enumerate(root.iter("Region"), start=1):
        corners = np.array([_corner(vertex, path) for vertex in region.iter("Vertex")])
        rows, columns = _inside(corners, size)
        instances[rows, columns] = number
        skipped += not len(rows)
    return Truth(instances, skipped)


def read_matrix(path: Path, size: Size) -> Truth:
    """Read the matrix `inst_map` of a MATLAB file, as HoVer-Net's sets ship it.

    Raises
    ------
    SlideError
        If the file is none of MATLAB 4 to 7.2, lacks the matrix, or the matrix is of another size.
    """
    try:
        found = loadmat(path, variable_names=[_MATRIX])
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise SlideError(f"{path}: must be a MATLAB file; {reason}; copy it again") from None
    if _MATRIX not in found:
        raise SlideError(f"{path}: has no matrix {_MATRIX}; it holds the number of each nucleus")
    return Truth(_checked(found[_MATRIX], path, size), 0)


def read_numbers(path: Path, size: Size) -> Truth:
    """Read a grey picture, of 8 or 16 bits, whose values are the numbers of the nuclei.

    Raises
    ------
    SlideError
        If it cannot be decoded, has colours, or is of another size.
    """
    pixels = _decode(path)
    if pixels.ndim != 2:
        raise SlideError(f"{path}: must be grey, the number of a nucleus per pixel; has colours")
    return Truth(_checked(pixels, path, size), 0)


def read_mask(path: Path, size: Size) -> Truth:
    """Read a picture that is not black where nuclei are, and number the pieces.

    Pixels that share an edge belong to one piece. Nuclei that touch cannot be told apart: Dice does
    not mind, objects and AJI are approximate.

    Raises
    ------
    SlideError
        If it cannot be decoded or is of another size.
    """
    pixels = _decode(path)
    marked = pixels if pixels.ndim == 2 else pixels[..., :3].max(2)  # whatever the transparency
    _checked(marked, path, size)
    pieces, _ = ndimage.label(marked != 0)
    return Truth(pieces.astype(np.int32), 0)


def _corner(vertex: ElementTree.Element, path: Path) -> tuple[float, float]:
    try:
        x, y = float(vertex.attrib["X"]), float(vertex.attrib["Y"])
    except (KeyError, ValueError):
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise SlideError(
            f"{path}: X and Y of a Vertex must be numbers, got {vertex.attrib}; correct it"
        )
    return x, y


def _inside(
    corners: NDArray[np.float64], size: Size
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if len(corners) < 3:
        none = np.zeros(0, np.int64)
        return none, none
    shape = (size.height, size.width)
    rows, columns = polygon(corners[:, 1], corners[:, 0], shape)  # type: ignore[no-untyped-call]
    return rows, columns


def _decode(path: Path) -> NDArray[np.generic]:
    try:
        with Image.open(path) as image:
            has_palette = image.mode in ("P", "PA")  # the values are places in it
            return np.asarray(image.convert("RGB") if has_palette else image)
    except (OSError, SyntaxError, ValueError) as error:
        reason = " ".join(str(error).replace(f" {str(path)!r}", "").split())
        raise SlideError(f"{path}: cannot be decoded ({reason}); copy it again") from None


def _checked(values: NDArray[np.generic], path: Path, size: Size) -> Instances:
    if values.shape != (size.height, size.width):
        found = " x ".join(str(side) for side in values.shape[::-1])
        raise SlideError(
            f"{path}: is {found} px, its image is {size.width} x {size.height}; both must have one "
            "size"
        )
    numbers = values.astype(np.int32)
    if not np.array_equal(numbers, values) or numbers.min(initial=0) < 0:
        raise SlideError(f"{path}: numbers of nuclei must be whole and at least 0")
    return numbers
