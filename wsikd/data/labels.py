"""Label images of tissue regions: whole numbers per pixel, as OME-Zarr beside a run.

`<folder>/<slide_id>/<region_id>.ome.zarr` is an image with the axes y and x and a level for each of
the region's magnifications that are not finer than the labels, each the nearest pixels of them.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from wsikd.errors import StoreError
from wsikd.geometry import Mpp, Size, format_magnification
from wsikd.store import LevelRecord, RegionRecord

Labels = NDArray[np.unsignedinteger[Any]]

_CHUNK = 1024


def write_labels(
    folder: Path, slide_id: str, region: RegionRecord, mpp: Mpp, mag: float, labels: Labels
) -> Path:
    """Write the labels of a region; what was there is replaced as a whole.

    Parameters
    ----------
    folder : Path
        Such as `runs/<name>/labels`.
    slide_id : str
        Whose region it is.
    region : RegionRecord
        Gives place, size and magnifications.
    mpp : Mpp
        µm per level-0 pixel of the slide.
    mag : float
        Magnification of the labels, one of the region's.
    labels : ndarray of unsigned integers, shape (height, width)
        0 is background.

    Returns
    -------
    Path
        The OME-Zarr image.
    """
    finest = region.level(mag)
    assert labels.shape == (finest.height, finest.width), (labels.shape, finest)
    path = labels_path(folder, slide_id, region.region_id)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    levels = [level for level in region.levels if level.magnification <= mag]
    group = zarr.open_group(partial, mode="w", zarr_format=3)
    group.attrs.update(_attributes(region, mpp, levels))
    for index, level in enumerate(levels):
        _write_level(group, str(index), nearest(labels, Size(level.width, level.height)))
    shutil.rmtree(path, ignore_errors=True)
    partial.rename(path)
    return path


def read_labels(folder: Path, slide_id: str, region_id: str, mag: float) -> Labels:
    """Read the labels of a region at a magnification, shape (height, width).

    Raises
    ------
    StoreError
        If there are none, or not at that magnification; the message names those there are.
    """
    path = labels_path(folder, slide_id, region_id)
    if not path.is_dir():
        raise StoreError(f"{path}: no labels of this region; let a segmenter write them")
    try:
        attributes: Any = zarr.open_group(path, mode="r").attrs["wsikd"]
        have = attributes["magnifications"]
        array = zarr.open_array(path / str(have.index(mag)), mode="r") if mag in have else None
        labels = None if array is None else _whole(array)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path}: damaged ({reason}); remove it and write it again") from None
    if labels is None:
        raise StoreError(
            f"{path}: has no labels at {format_magnification(mag)}, only "
            f"{', '.join(map(format_magnification, have))}; choose one of those"
        )
    return labels


def labels_path(folder: Path, slide_id: str, region_id: str) -> Path:
    """Give where the labels of a region are."""
    return folder / slide_id / f"{region_id}.ome.zarr"


def nearest(labels: Labels, size: Size) -> Labels:
    """Bring labels to a size by the pixel nearest to each centre, as means of labels are none.

    Examples
    --------
    >>> nearest(np.array([[1, 2, 3, 4, 5, 6]], np.uint8), Size(2, 1)).tolist()
    [[2, 5]]
    """
    height, width = labels.shape
    rows = ((np.arange(size.height) + 0.5) * height / size.height).astype(int)
    columns = ((np.arange(size.width) + 0.5) * width / size.width).astype(int)
    picked: Labels = labels[rows[:, None], columns]
    return picked


def _whole(array: zarr.Array[Any]) -> Labels:
    """Read an array, unless chunks are missing, which zarr would read as background."""
    if array.nchunks_initialized < array.nchunks:
        raise ValueError("a part of it is missing")
    return np.asarray(array[:])


def _write_level(group: zarr.Group, path: str, labels: Labels) -> None:
    height, width = labels.shape
    array = group.create_array(
        path,
        shape=labels.shape,
        dtype=labels.dtype,
        chunks=(min(_CHUNK, height), min(_CHUNK, width)),
        compressors=ZstdCodec(level=1, checksum=True),
        dimension_names=("y", "x"),
        fill_value=0,
        config={"write_empty_chunks": True},  # so that what is missing is not taken for background
    )
    array[:] = labels


def _attributes(region: RegionRecord, mpp: Mpp, levels: list[LevelRecord]) -> dict[str, Any]:
    """Place the labels on the slide, as their region is, by OME-NGFF 0.5."""
    multiscale = {
        "name": region.region_id,
        "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"],
        "datasets": [
            {
                "path": str(index),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [level.mpp[1], level.mpp[0]]},
                    {"type": "translation", "translation": _shift(region, mpp, level)},
                ],
            }
            for index, level in enumerate(levels)
        ],
        "type": "nearest",
    }
    ome = {"version": "0.5", "multiscales": [multiscale], "image-label": {}}
    return {"ome": ome, "wsikd": {"magnifications": [level.magnification for level in levels]}}


def _shift(region: RegionRecord, mpp: Mpp, level: LevelRecord) -> list[float]:
    """Give y and x of the first pixel's centre, in µm from that of the slide's at level 0."""
    return [
        region.y * mpp.y + (level.mpp[1] - mpp.y) / 2,
        region.x * mpp.x + (level.mpp[0] - mpp.x) / 2,
    ]
