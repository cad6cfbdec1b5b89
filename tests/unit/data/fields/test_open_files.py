import numpy as np
import pytest
from PIL import Image

from tests.builders import picture_field
from wsikd.data.fields.field import StoreField
from wsikd.data.fields.open_files import OpenFiles
from wsikd.errors import SlideError
from wsikd.geometry import Region, Size

PLACE = Region(1, 2, Size(3, 4))


@pytest.fixture
def paths(tmp_path):
    found = []
    for number in range(3):
        pixels = np.full((16, 16, 3), 40 + number, np.uint8)
        found.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(found[-1])
    return found


def test_reads_the_rectangle_of_the_file_that_is_named(paths):
    with OpenFiles() as files:
        read = [files.read(path, None, PLACE) for path in paths]
    assert [pixels.shape for pixels in read] == [(4, 3, 3)] * 3
    assert [int(pixels[0, 0, 0]) for pixels in read] == [40, 41, 42]


def test_a_file_that_was_read_is_not_opened_again(paths):
    with OpenFiles() as files:
        before = files.read(paths[0], None, PLACE)
        paths[0].unlink()
        assert (files.read(paths[0], None, PLACE) == before).all()


def test_of_more_files_than_may_be_open_the_one_read_longest_ago_is_closed(paths):
    with OpenFiles(limit=2) as files:
        for path in (paths[0], paths[1], paths[0], paths[2]):
            files.read(path, None, PLACE)
        for path in paths:
            path.unlink()
        files.read(paths[0], None, PLACE)
        files.read(paths[2], None, PLACE)
        with pytest.raises(SlideError, match=r"1\.png: no such file"):
            files.read(paths[1], None, PLACE)


def test_no_file_stays_open_afterwards(paths):
    with OpenFiles() as files:
        files.read(paths[0], None, PLACE)
    paths[0].unlink()
    with pytest.raises(SlideError, match="no such file"), files:
        files.read(paths[0], None, PLACE)


def test_a_field_opens_its_file_for_each_crop_unless_files_are_kept(paths):
    alone, other = picture_field(paths[0], Size(16, 16)), picture_field(paths[1], Size(16, 16))
    with OpenFiles() as files:
        kept = other.keeping(files)
        before = [field.crop(0, 0, Size(8, 8)) for field in (alone, kept)]
        for path in paths[:2]:
            path.unlink()
        assert (kept.crop(0, 0, Size(8, 8)) == before[1]).all()
        with pytest.raises(SlideError, match="no such file"):
            alone.crop(0, 0, Size(8, 8))


def test_a_kept_field_is_the_same_field(paths):
    with OpenFiles() as files:
        field = picture_field(paths[0], Size(16, 16))
        assert field.keeping(files) == field
        assert repr(field.keeping(files)) == repr(field)


def test_a_field_of_a_store_has_no_file_to_keep(tmp_path):
    about = {"slide_id": "a", "region_id": "r", "light": (255.0, 255.0, 255.0)}
    size = Size(2, 2)
    field = StoreField(
        **about,
        box=Region(0, 0, size),
        slide_mpp=None,
        size=size,
        magnification=None,
        path=tmp_path,
    )
    with OpenFiles() as files:
        assert field.keeping(files) is field
