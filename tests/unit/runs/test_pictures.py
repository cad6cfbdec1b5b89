import pytest

from wsikd.errors import StoreError
from wsikd.runs.pictures import PictureFolder, Pictures

REMEDY = "copy the folder whole, or remove it and run wsikd report where the regions are"


def test_there_may_be_no_pictures(tmp_path):
    assert PictureFolder(tmp_path).read() is None


def test_what_was_written_is_read(tmp_path):
    PictureFolder(tmp_path).write(Pictures())
    assert PictureFolder(tmp_path).read() == Pictures()


@pytest.mark.parametrize(
    "text", ["junk", "[]", '{"format": "wsikd-pictures", "version": 1, "s": 2}']
)
def test_a_damaged_record_names_the_remedy(tmp_path, text):
    path = tmp_path / "pictures" / "pictures.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(StoreError) as refusal:
        PictureFolder(tmp_path).read()
    assert str(refusal.value).startswith(f"{path}: ")
    assert str(refusal.value).endswith(REMEDY)


@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_or_empty_picture_names_the_remedy(tmp_path, content):
    path = tmp_path / "pictures" / "slides" / "s.jpg"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError) as refusal:
        PictureFolder(tmp_path).read_picture("slides/s.jpg")
    assert str(refusal.value) == f"{path}: must be a picture, is missing or empty; {REMEDY}"
