"""What tests build alike: slides in the store, and a workspace to train in."""

import numpy as np
import pandas as pd
from shapely import box as rectangle

from wsikd.data.fields.field import FileField
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.models import build_model
from wsikd.models.resnet import Bottleneck, Layout, ResNet
from wsikd.models.seeding import seeded
from wsikd.store import RegionStore, SlideRecord, SlideWriter, Source
from wsikd.tissue import to_geojson


def slide_record(slide_id, regions, size, mpp, **others):
    """Describe a drawn slide of (width, height) pixels; `others` are fields that matter."""
    drawn = {
        "settings": {},
        "source": Source(name=f"{slide_id}.svs", bytes=0, sha256=""),
        "slide_format": "drawn",
        "reader": "array",
        "reader_version": "1",
        "mpp_source": "given",
        "objective_power": None,
        "warnings": (),
    }
    width, height = size
    made = {"slide_id": slide_id, "width": width, "height": height, "mpp": mpp, "regions": regions}
    return SlideRecord(**{**drawn, **made, **others})


def write_plain_slide(store, slide_id, sizes, *, pixels=None, outline=None):
    """Write a slide of 1 µm per pixel into a store: its regions at 10x and 1.25x."""
    mpp = Mpp(1.0, 1.0)
    writer = SlideWriter(store, slide_id)
    regions, records = [], []
    for index, (width, height) in enumerate(sizes.values()):
        fine = np.full((height, width, 3), 200, np.uint8) if pixels is None else pixels
        levels = [
            PyramidLevel(10.0, Size(width, height), mpp),
            PyramidLevel(1.25, Size(width // 8, height // 8), Mpp(8.0, 8.0)),
        ]
        area = outline or rectangle(0, 0, width, height)
        region = TissueRegion(index, Region(0, 0, Size(width, height)), area)
        rows = [(0, fine), (1, fine[::8, ::8])]
        records.append(writer.write_region(region, mpp, levels, rows))
        regions.append(region)
    width, height = max(sizes.values())
    record = slide_record(
        slide_id,
        tuple(records),
        (width, height),
        mpp,
        reader_version="",
        source=Source(name=f"{slide_id}.tif", bytes=1, sha256=""),
    )
    thumbnail = np.full((height // 10, width // 10, 3), 255, np.uint8)
    writer.commit(record, to_geojson(regions, mpp), thumbnail)


def write_noise_workspace(folder, sizes):
    """Write six slides of one region of noise each, of these (width, height).

    Three are learnt from, one is validated and two are tested.
    """
    random, rows = np.random.default_rng(0), []
    splits = ("train", "train", "train", "val", "test", "test")
    for index, ((width, height), split) in enumerate(zip(sizes, splits, strict=True)):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        write_plain_slide(folder / "regions", f"s{index}", {0: (width, height)}, pixels=pixels)
        rows.append((f"s{index}", f"p{index}", f"s{index}.tif", "ab"[index % 2], split, ""))
    columns = ["slide_id", "patient_id", "path", "label", "split", "fold"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "slides.csv", index=False)


def coloured_manifest():
    """Twelve patients of one slide each, classes in turn, in three folds or all to be tested."""
    classes = ("blue", "red")
    return pd.DataFrame(
        {
            "slide_id": [f"s{index:02d}" for index in range(12)],
            "patient_id": [f"p{index:02d}" for index in range(12)],
            "path": [f"s{index:02d}.svs" for index in range(12)],
            "label": [classes[index % 2] for index in range(12)],
            "split": "test",  # of the runs without folds
            "fold": [str(index // 2 % 3) for index in range(12)],
        }
    )


def write_coloured_store(folder, manifest):
    """Write a store whose regions are plain blue or plain red, as their label says."""
    colours = {"blue": (60, 60, 200), "red": (200, 60, 60)}
    for slide in manifest.itertuples():
        region = TissueRegion(0, Region(0, 0, Size(8, 8)), rectangle(0, 0, 8, 8))
        levels = [PyramidLevel(1.25, Size(8, 8), Mpp(8, 8))]
        pixels = np.full((8, 8, 3), colours[slide.label], np.uint8)
        writer = SlideWriter(folder, slide.slide_id)
        written = writer.write_region(region, Mpp(8, 8), levels, [(0, pixels)])
        record = slide_record(
            slide.slide_id,
            (written,),
            (8, 8),
            (8.0, 8.0),
            reader_version="",
            source=Source(name=slide.path, bytes=1, sha256=""),
        )
        writer.commit(record, {"type": "FeatureCollection", "features": []}, pixels)
    return RegionStore(folder)


def picture_field(path, size):
    """Return the field of a whole picture of unknown resolution."""
    return FileField(
        slide_id="a",
        region_id="image",
        box=Region(0, 0, size),
        slide_mpp=None,
        size=size,
        magnification=None,
        light=(255.0, 255.0, 255.0),
        path=path,
    )


KINDS = ("resnet10w32", "resnet18", "bottlenecks")
"""Networks of all kinds of blocks: resnet34 has those of resnet18, more of them."""


def build_kind(kind, class_count, *, seed=0):
    """Build one of `KINDS`; that of bottlenecks is resnet50 with fewer of its blocks."""
    with seeded(seed):
        if kind == "bottlenecks":
            return ResNet(Layout(Bottleneck, (2, 1, 1, 2), (64, 128, 256, 512)), class_count)
        return build_model(kind, class_count)
