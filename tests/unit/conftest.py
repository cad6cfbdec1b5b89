import shutil
from functools import cache

import numpy as np
import pytest
import tifffile
from PIL import Image
from shapely import box

from tests.builders import slide_record
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.slides import ArrayReader
from wsikd.store import RegionStore, SlideWriter, Source
from wsikd.tissue.geojson import to_geojson
from wsikd.workspace import Workspace


def write_slide(folder, slide_id, regions):
    """Write a slide whose regions are given as one array per magnification, 10x and 2.5x."""
    writer = SlideWriter(folder, slide_id)
    records = []
    for index, images in enumerate(regions):
        height, width = images[0].shape[:2]
        tissue = TissueRegion(index, Region(0, 0, Size(width, height)), box(0, 0, width, height))
        levels = [
            PyramidLevel(magnification, Size(image.shape[1], image.shape[0]), Mpp(mpp, mpp))
            for image, magnification, mpp in zip(images, (10.0, 2.5), (1.0, 4.0), strict=True)
        ]
        records.append(writer.write_region(tissue, Mpp(1, 1), levels, list(enumerate(images))))
    record = slide_record(slide_id, tuple(records), (100, 100), (1, 1), mpp_source="file")
    writer.commit(record, {"type": "FeatureCollection", "features": []}, images[1])


@pytest.fixture(scope="session")
def images():
    """Regions by slide; each is an image at 10x and one at 2.5x."""
    drawn = np.random.default_rng(3)
    sizes = {"a": [(20, 36), (8, 12)], "b": [(12, 12)], "c": [(16, 4)], "aux": [(4, 4)]}
    return {
        slide_id: [
            [
                drawn.integers(0, 256, (height // side, width // side, 3), np.uint8)
                for side in (1, 4)
            ]
            for height, width in regions
        ]
        for slide_id, regions in sizes.items()
    }


@pytest.fixture(scope="session")
def store(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("regions")
    for slide_id, regions in images.items():
        write_slide(folder, slide_id, regions)
    return RegionStore(folder)


PATCHED_BOX = Region(40, 20, Size(320, 240))  # of the only region of a slide of 400 x 300 pixels
PATCHED_TISSUE = box(40, 20, 264, 260)  # 224 of its 320 columns


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="session")
def patched_store(tmp_path_factory):
    """Write a store of one slide once, as most tests want the same ones."""

    @cache
    def write(slide_id, number, outlines, mpp):
        store = tmp_path_factory.mktemp("stores")
        _write_patched_slide(store, slide_id, noise(400, 300, number), outlines, mpp)
        return store

    return write


@pytest.fixture
def make_workspace(tmp_path, patched_store):
    """Write a workspace of slides with one region each, at 0.5 µm per pixel, 20x, 10x and 5x."""

    def make(slides=("s1",), *, name="cohort", outlines=True, mpp=0.5, split="train"):
        workspace = Workspace(tmp_path / name)
        rows = ["slide_id,path,patient_id,label,split"]
        for number, slide_id in enumerate(slides):
            written = patched_store(slide_id, number, outlines, mpp)
            shutil.copytree(written, workspace.store, dirs_exist_ok=True)
            rows.append(f"{slide_id},{slide_id}.svs,p-{slide_id},{'ab'[number % 2]},{split}")
        workspace.manifest.write_text("\n".join(rows) + "\n")
        return workspace

    return make


def _write_patched_slide(store, slide_id, pixels, outlines, mpp):
    tissue = TissueRegion(0, PATCHED_BOX, PATCHED_TISSUE)
    at = Mpp(mpp, mpp)
    levels = plan_levels(PATCHED_BOX.size, at, PyramidSettings(magnifications=(20, 10, 5)))
    writer = SlideWriter(store, slide_id)
    with ArrayReader(pixels) as slide:
        rows = build_pyramid(slide, PATCHED_BOX, levels)
        region = writer.write_region(tissue, at, levels, rows)
    record = slide_record(
        slide_id,
        (region,),
        (400, 300),
        at,
        mpp_source="file",
        source=Source(name="drawn.svs", bytes=0, sha256=slide_id),
    )
    found = to_geojson([tissue] if outlines else [], at)
    writer.commit(record, found, noise(8, 8))


@pytest.fixture
def make_images(tmp_path):
    """Write images of noise under their names, "ADI/1.png" or "1.png"; give the folder."""

    def make(names, *, name="images", size=(12, 8), seed=0):
        for number, image in enumerate(names):
            path = tmp_path / name / image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise(*size, seed + number)).save(path)
        return tmp_path / name

    return make


@pytest.fixture
def write_planes(tmp_path):
    """Write an OME-TIFF of one plane per channel, the second level of means of 2 x 2."""

    def write(
        planes, *, mpp=0.5, names=("Hoechst", "Pan-CK", "CD45"), unit="µm", name="if.ome.tif"
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"axes": "CYX", "Channel": {"Name": list(names)}}
        if mpp is not None:
            metadata |= {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
            metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
        with tifffile.TiffWriter(path, ome=True) as writer:
            options = {"photometric": "minisblack", "tile": (64, 64), "compression": "zlib"}
            writer.write(planes, subifds=1, metadata=metadata, **options)
            count, height, width = planes.shape
            blocks = planes.reshape(count, height // 2, 2, width // 2, 2)
            half = np.floor(blocks.mean(axis=(2, 4)) + 0.5).astype(planes.dtype)
            writer.write(half, subfiletype=1, **options)
        return path

    return write
