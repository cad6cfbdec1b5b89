import json

import numpy as np
import pytest
import tifffile

from wsikd.geometry import Region, Size
from wsikd.prepare import SlideTask, prepare_slide
from wsikd.slides import open_slide
from wsikd.store import RegionStore
from wsikd.store.records import SlideRecord


@pytest.fixture
def store(tmp_path):
    return tmp_path / "regions"


@pytest.fixture
def damaged(slide, tmp_path):
    """A slide of tiles of 256 pixels, two of them without the second half of their data."""
    data = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as file:
        page = file.pages[0]
        for index in (4, 5):  # of 3 x 3: the middle one and the one to its right
            begin, count = page.dataoffsets[index], page.databytecounts[index]
            data[begin + count // 2 : begin + count] = bytes(count - count // 2)
    path = tmp_path / "s1.svs"
    path.write_bytes(data)
    return SlideTask("s1", path, mpp=None, objective_power=None)


def allowing(settings, share):
    return settings.model_copy(update={"max_damaged": share})


def test_a_slide_with_a_damaged_tile_in_its_tissue_fails_and_says_how_many_and_where(
    damaged, store, settings
):
    status = prepare_slide(damaged, store, settings)
    assert status.status == "failed"
    prepare_slide(damaged, store, allowing(settings, 1.0))  # so that the region's box is known
    box = RegionStore(store).read_slide("s1").regions[0]
    share = 256 * (750 - 256) / (box.width * box.height)
    assert status.error == (
        f"{damaged.path}: 2 tiles are damaged, the first at x=256 y=256 of level 0,"
        f" {share:.2%} of the regions' area (Premature end of JPEG file),"
        " more than max_damaged 0; copy it again, or allow it with --max-damaged"
    )


def test_what_is_allowed_is_white_and_recorded_three_times(damaged, store, settings, slide):
    status = prepare_slide(damaged, store, allowing(settings, 0.9))
    assert status.status == "done"
    assert status.warnings.startswith("2 tiles are damaged, the first at x=256 y=256 of level 0,")
    assert status.warnings.endswith("% of the regions' area; they are white")
    record = RegionStore(store).read_slide("s1")
    assert [(tile.level, tile.x, tile.y) for tile in record.damaged] == [
        (0, 256, 256),
        (0, 512, 256),
    ]
    box = record.regions[0]
    inside = np.zeros((750, 750), bool)
    inside[256:512, 256:768] = True
    inside = inside[box.y : box.y + box.height, box.x : box.x + box.width]
    assert box.damaged_share == pytest.approx(inside.mean())


def test_pixels_beside_the_damage_are_those_of_the_whole_slide(damaged, slide):
    with open_slide(damaged.path) as reader, open_slide(slide) as whole:
        reader.tolerate_damage()
        box = Region(0, 0, Size(750, 750))
        seen, expected = reader.read(box), whole.read(box).copy()
    expected[256:512, 256:] = 255
    np.testing.assert_array_equal(seen, expected)


def test_a_slide_with_allowed_damage_is_not_skipped_when_none_is_allowed(damaged, store, settings):
    prepare_slide(damaged, store, allowing(settings, 0.9))
    assert prepare_slide(damaged, store, allowing(settings, 0.9)).status == "skipped"
    again = prepare_slide(damaged, store, settings)
    assert again.status == "failed"
    assert "2 tiles are damaged" in again.error
    assert again.regions == 1  # and what was prepared is kept


def test_a_slide_without_tissue_because_of_damage_says_so(slide, tmp_path, store, settings):
    data = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as file:
        for page in file.pages:
            for begin, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                data[begin + count // 2 : begin + count] = bytes(count - count // 2)
    (tmp_path / "s1.svs").write_bytes(data)
    task = SlideTask("s1", tmp_path / "s1.svs", mpp=None, objective_power=None)
    status = prepare_slide(task, store, allowing(settings, 1.0))
    assert status.status == "failed"
    assert "1 tile is damaged, at x=0 y=0 of level 1" in status.error
    assert status.error.endswith("copy the slide again")


def test_a_record_without_damage_is_written_as_before(slide, store, settings):
    prepare_slide(SlideTask("s1", slide, None, None), store, settings)
    document = json.loads((store / "s1" / "slide.json").read_text())
    assert "damaged" not in document
    assert "damaged_share" not in document["regions"][0]
    assert SlideRecord.model_validate(document).regions[0].damaged_share == 0
