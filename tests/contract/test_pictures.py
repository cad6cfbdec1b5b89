"""A picture of the store is an ordinary OME-Zarr image for who knows nothing of wsikd."""

import zipfile

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image as OmeImage
from PIL import Image
from zarr.storage import ZipStore

from wsikd.prepare import PrepareSettings, SlideTask, prepare_slide

MPP = 0.97
SIZES = [(96, 96), (1, 1), (30, 700), (513, 512)]  # one chunk, one pixel, several chunks, one more


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def prepared(request, tmp_path):
    """Return what a picture shows, and the file that it is stored in."""
    width, height = request.param
    shown = np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(shown).save(path)
    settings = PrepareSettings(tissue={"method": "whole"}, pyramid={"magnifications": (10, 5, 2.5)})
    status = prepare_slide(SlideTask("a", path, MPP, None), tmp_path / "regions", settings)
    assert status.status == "done", status.error
    return shown, tmp_path / "regions" / "a" / "region-000.ozx"


def test_zarr_alone_reads_it_and_it_is_valid_by_its_models(prepared):
    shown, path = prepared
    with ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        assert group.metadata.zarr_format == 3
        multiscale = OmeImage.from_zarr(group).ome_attributes.multiscales[0]
        assert [axis.name for axis in multiscale.axes] == ["c", "y", "x"]
        assert [dataset.path for dataset in multiscale.datasets] == sorted(group.array_keys())
        for dataset, mpp in zip(multiscale.datasets, (1, 2, 4), strict=True):
            _expect(shown, group[dataset.path][:], mpp)


def _expect(shown, stored, mpp):
    height, width = (max(1, int(side * MPP / mpp + 0.5)) for side in shown.shape[:2])
    assert stored.shape == (3, height, width)
    if shown.shape[0] <= 2 * shown.shape[1]:  # taller boxes Pillow resizes along y first
        expected = Image.fromarray(shown).resize((width, height), Image.Resampling.LANCZOS)
        apart = np.abs(np.moveaxis(stored, 0, 2).astype(int) - np.asarray(expected))
        assert apart.max() <= 2


def test_each_array_is_one_entry_beside_its_metadata(prepared):
    with zipfile.ZipFile(prepared[1]) as archive:
        names = archive.namelist()
    assert names[0] == "zarr.json"
    assert sorted(names[1:]) == sorted(
        f"{level}/{part}" for level in range(3) for part in ("zarr.json", "c/0/0/0")
    )
