"""Pictures that are taken as they are, many at a time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsikd.prepare import PrepareSettings, SlideTask, prepare_slide
from wsikd.prepare.pictures import bundle, prepare_bundle
from wsikd.store import RegionStore, read_record, writing

WHOLE = PrepareSettings(tissue={"method": "whole"}, pyramid={"magnifications": (10, 2.5)})


@pytest.fixture
def store(tmp_path):
    (tmp_path / "regions").mkdir()
    return tmp_path / "regions"


@pytest.fixture
def draw(tmp_path):
    """Return a function that saves pixels as a picture, and makes it a task."""

    def draw(name, pixels):
        path = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(path)
        return SlideTask(name, path, mpp=1.0, objective_power=None)

    return draw


def noise(seed, side=40):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [noise(0), np.zeros((50, 70, 3), np.uint8), np.full((9, 4, 3), 255, np.uint8)],
    ids=["stain", "black", "white"],
)
def test_a_picture_is_one_region_whatever_it_shows(store, draw, pixels):
    status = prepare_slide(draw("a", pixels), store, WHOLE)
    assert (status.status, status.regions, status.error) == ("done", 1, "")
    (region,) = RegionStore(store).read_slide("a").regions
    height, width, _ = pixels.shape
    assert (region.x, region.y, region.width, region.height) == (0, 0, width, height)
    assert region.area_um2 == width * height
    stored = RegionStore(store).read_pixels("a", "region-000", 10)
    np.testing.assert_array_equal(stored, pixels)


def test_a_picture_without_a_resolution_is_refused(store, draw):
    task = draw("a", noise(0))
    status = prepare_slide(SlideTask("a", task.path, None, None), store, WHOLE)
    assert status.status == "failed"
    assert "state it with --mpp" in status.error


def test_a_complete_picture_is_skipped_and_other_settings_are_refused(store, draw):
    task = draw("a", noise(0))
    prepare_slide(task, store, WHOLE)
    assert prepare_slide(task, store, WHOLE).status == "skipped"
    coarser = PrepareSettings(tissue={"method": "whole"}, pyramid={"magnifications": (5,)})
    refused = prepare_slide(task, store, coarser)
    assert "was prepared with pyramid.magnifications" in refused.error


def test_a_damaged_picture_is_prepared_again(store, draw):
    task = draw("a", noise(0))
    prepare_slide(task, store, WHOLE)
    path = store / "a" / "region-000.ozx"
    data = path.read_bytes()
    path.write_bytes(data[:500] + b"?" + data[501:])
    status = prepare_slide(task, store, WHOLE)
    assert (status.status, status.warnings) == (
        "done", "prepared again, as region-000.ozx is missing or damaged"
    )  # fmt: skip
    assert path.read_bytes() == data


def test_a_picture_too_large_for_one_file_and_one_for_older_viewers_are_stored_as_slides(
    store, draw, monkeypatch
):
    older = WHOLE.model_copy(update={"ngff": "0.4"})
    prepare_slide(draw("old", noise(0)), store, older)
    monkeypatch.setattr(writing, "_HELD_BYTES", 3 * 40 * 40 - 1)
    prepare_slide(draw("large", noise(1)), store, WHOLE)
    for name in ("old", "large"):
        assert read_record(store / name).version == 1
        assert (store / name / "region-000.ome.zarr").is_dir()
        assert RegionStore(store).read_thumbnail(name).shape == (40, 40, 3)


def test_a_picture_that_is_cut_into_several_regions_is_stored_as_a_slide(store, draw):
    cut = PrepareSettings(tissue={"method": "whole", "max_side_um": 20}, pyramid=WHOLE.pyramid)
    assert prepare_slide(draw("a", noise(0)), store, cut).regions == 4  # 40 µm a side
    assert not read_record(store / "a").is_picture


def test_a_bundle_has_the_outcomes_that_its_pictures_have_alone(tmp_path, store, draw):
    tasks = [draw(f"p{seed}", noise(seed)) for seed in range(8)]
    tasks[3].path.write_bytes(b"\x89PNG and no more")
    together = prepare_bundle(tuple(tasks), store, WHOLE)
    assert [status.slide_id for status in together] == [task.slide_id for task in tasks]
    assert [status.status for status in together].count("failed") == 1
    assert "cannot be decoded" in together[3].error
    (tmp_path / "alone").mkdir()
    for task in tasks:
        prepare_slide(task, tmp_path / "alone", WHOLE)
    assert content(store) == content(tmp_path / "alone")


def content(store):
    own = (path for path in store.rglob("*") if not {".locks", ".stamps"} & {*path.parts})
    files = [path for path in own if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def file_of(folder, name, size):
    path = folder / name
    with path.open("wb") as file:
        file.truncate(size)
    return SlideTask(name, path, None, None)


def test_bundles_hold_32_pictures_or_16_mib_in_order(tmp_path):
    mib = 2**20
    sizes = [1000] * 40 + [9 * mib, 9 * mib, 40 * mib, 1000]
    tasks = [file_of(tmp_path, f"{index:02}.png", size) for index, size in enumerate(sizes)]
    bundles = bundle(tasks, WHOLE)
    assert [len(one) for one in bundles] == [32, 9, 1, 1, 1]
    assert [task for one in bundles for task in one] == tasks


def test_what_is_no_file_is_by_itself(tmp_path):
    (tmp_path / "series").mkdir()
    paths = [tmp_path / "gone.png", tmp_path / "series", Path("x\0y")]
    tasks = [SlideTask(str(index), path, None, None) for index, path in enumerate(paths)]
    assert bundle(tasks, WHOLE) == [(task,) for task in tasks]


def test_slides_are_not_put_together(tmp_path):
    tasks = [file_of(tmp_path, name, 10) for name in ("a.svs", "b.svs")]
    assert bundle(tasks, PrepareSettings()) == [(task,) for task in tasks]
