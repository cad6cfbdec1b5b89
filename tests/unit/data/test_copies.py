import pandas as pd
import pytest

from tests.builders import slide_record
from wsikd.cohort.columns import COLUMNS
from wsikd.data.copies import refuse_copies
from wsikd.errors import LeakageError
from wsikd.files import write_json
from wsikd.hashing import content_fingerprint
from wsikd.store import RegionStore, Source


@pytest.fixture
def store(tmp_path):
    """Return a store in which the slides a and b are one file, and c is another."""
    for slide_id, content in {"a": "1", "b": "1", "c": "2", "d": "", "e": ""}.items():
        source = Source(name=f"{slide_id}.svs", bytes=1, sha256=content)
        record = slide_record(slide_id, (), (8, 8), (1, 1), source=source)
        (tmp_path / slide_id).mkdir()
        write_json(tmp_path / slide_id / "slide.json", record.model_dump(mode="json"))
    return RegionStore(tmp_path)


def table_of(**rows):
    made = [{"slide_id": name, "patient_id": "p", **row} for name, row in rows.items()]
    return pd.DataFrame(made).reindex(columns=COLUMNS, fill_value="").fillna("")


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ({"split": "train"}, {"split": "test"}, "split train and test"),
        ({"split": "auxiliary"}, {"split": "val"}, "split auxiliary and val"),
        ({"fold": "0"}, {"fold": "1"}, "fold 0 and 1"),
        ({"fold": "0"}, {"split": "auxiliary"}, "fold 0 and auxiliary"),
        ({"patient_id": "p1"}, {"patient_id": "p2"}, "patient_id p1 and p2"),
    ],
)
def test_copies_of_a_slide_belong_together(store, a, b, said):
    with pytest.raises(LeakageError) as refusal:
        refuse_copies(store, table_of(a=a, b=b, c={"split": "test"}))
    assert str(refusal.value) == (
        f"manifest: slides a and b are copies of one file, in {said}; keep one of them, or give "
        "both one patient and one split"
    )


def write(folder, slide_id, *, content="", pixels=None):
    source = Source(name=f"{slide_id}.tif", bytes=1, sha256=content)
    record = slide_record(slide_id, (), (8, 8), (1, 1), source=source)
    (folder / slide_id).mkdir()
    written = record.model_dump(mode="json") | {"pixels": pixels}
    write_json(folder / slide_id / "slide.json", written)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ({"content": "1", "pixels": "how:1"}, {"content": "1", "pixels": "how:1"}, "one file"),
        ({"content": "1", "pixels": "how:1"}, {"content": "2", "pixels": "how:1"}, "same pixels"),
        ({"content": "1", "pixels": "how:1"}, {"content": "2", "pixels": "else:1"}, "same pixels"),
        ({"content": "1", "pixels": "how:1"}, {"content": "1", "pixels": "how:2"}, None),
        ({"content": "1", "pixels": "how:1"}, {"content": "1", "pixels": "else:2"}, "one file"),
        ({"content": "1", "pixels": "how:1"}, {"content": "1", "pixels": ""}, "one file"),
        ({"content": "1", "pixels": ""}, {"content": "2", "pixels": ""}, None),  # one colour
    ],
)
def test_pixels_tell_slides_and_files_where_pixels_cannot(tmp_path, a, b, said):
    write(tmp_path, "a", **a)
    write(tmp_path, "b", **b)
    table = table_of(a={"split": "train"}, b={"split": "test"})
    if said is None:
        refuse_copies(RegionStore(tmp_path), table)
    else:
        with pytest.raises(LeakageError, match=f"slides a and b .*{said}, in split train and test"):
            refuse_copies(RegionStore(tmp_path), table)


@pytest.mark.parametrize("is_same", [True, False])
def test_whole_files_are_compared_where_pixels_cannot_tell(tmp_path, is_same):
    regions, end = tmp_path / "regions", bytes(2**20)  # what is hashed of either end
    regions.mkdir()
    paths = {"a": tmp_path / "a.tif", "b": tmp_path / "b.tif"}
    for path, middle in zip(paths.values(), (b"1", b"1" if is_same else b"2"), strict=True):
        path.write_bytes(end + middle + end)
    for slide_id, path in paths.items():
        write(regions, slide_id, content=content_fingerprint(path), pixels=f"{slide_id}:{slide_id}")
    rows = {"a": {"split": "train"}, "b": {"split": "test"}}
    table = table_of(**{name: {**row, "path": str(paths[name])} for name, row in rows.items()})
    if is_same:
        with pytest.raises(LeakageError, match="slides a and b are copies of one file"):
            refuse_copies(RegionStore(regions), table)
    else:
        refuse_copies(RegionStore(regions), table)
        paths["b"].unlink()  # then only the ends are known
        with pytest.raises(LeakageError, match="slides a and b are copies of one file"):
            refuse_copies(RegionStore(regions), table)


def test_what_is_no_copy_or_not_prepared_may_be_anywhere(store):
    train, test = {"split": "train"}, {"split": "test", "patient_id": "q"}
    refuse_copies(store, table_of(a=train, b=train, c=test, d=train, e=test, gone=test))
