import pandas as pd
import pytest

from wsikd.errors import CheckpointError
from wsikd.runs.learnt import (
    LEARNT_COLUMNS,
    completed,
    find_seen,
    inherited,
    read_learnt,
    write_learnt,
)

DEFAULTS = {"split": "train", "traced": "yes"}


def table(*rows):
    return completed(pd.DataFrame([{**DEFAULTS, **row} for row in rows]))


def seen(learnt, tested):
    return [str(found) for found in find_seen(table(learnt), table({"split": "test", **tested}))]


def test_what_is_written_is_read_each_row_once(tmp_path):
    rows = table({"slide_id": "007", "patient_id": "NA"}, {"slide_id": "007", "patient_id": "NA"})
    write_learnt(tmp_path / "learnt.csv", rows)
    read = read_learnt(tmp_path / "learnt.csv", "remedy")
    assert list(read.columns) == list(LEARNT_COLUMNS)
    assert read[["slide_id", "patient_id", "traced"]].to_numpy().tolist() == [["007", "NA", "yes"]]


def test_a_record_of_an_older_version_is_read_with_nothing_known_of_the_rest(tmp_path):
    (tmp_path / "learnt.csv").write_text("slide_id,patient_id,content\ns1,p1,abc\n")
    (row,) = read_learnt(tmp_path / "learnt.csv", "remedy").to_dict("records")
    assert row == dict.fromkeys(LEARNT_COLUMNS, "") | {
        "slide_id": "s1", "patient_id": "p1", "content": "abc",
    }  # fmt: skip


@pytest.mark.parametrize("text", [None, "", "slide_id\ns1\n"])
def test_a_record_that_is_missing_or_damaged_is_refused_with_the_remedy(tmp_path, text):
    path = tmp_path / "learnt.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CheckpointError) as refusal:
        read_learnt(path, "train it again")
    assert str(refusal.value) == f"{path}: must say which slides were learnt from; train it again"


@pytest.mark.parametrize(
    ("learnt", "tested", "said"),
    [
        ({"slide_id": "a"}, {"slide_id": "a"}, ["slide a"]),
        ({"slide_id": "a", "content": "1"}, {"slide_id": "b", "content": "1"},
         ["the file of b under the name a"]),
        ({"slide_id": "a", "pixels": "1"}, {"slide_id": "b", "pixels": "1"},
         ["the pixels of b under the name a"]),
        ({"slide_id": "a", "content": "1", "pixels": "how:1"},
         {"slide_id": "b", "content": "1", "pixels": "how:2"}, []),  # two slides with equal ends
        ({"slide_id": "a", "content": "1", "pixels": "how:1"},
         {"slide_id": "b", "content": "1", "pixels": "else:2"},
         ["the file of b under the name a"]),
        ({"slide_id": "a", "content": "1"}, {"slide_id": "b", "content": "1", "pixels": "how:2"},
         ["the file of b under the name a"]),  # of an older version
        ({"slide_id": "a", "content": "1", "pixels": "how:2"},
         {"slide_id": "b", "content": "2", "pixels": "else:2"},
         ["the pixels of b under the name a"]),
        ({"slide_id": "a", "content": "1", "pixels": "1"},
         {"slide_id": "b", "content": "1", "pixels": "2"},
         ["the file of b under the name a"]),  # patches of one slide
        ({"slide_id": "a", "patient_id": "p"}, {"slide_id": "b", "patient_id": "p"}, ["patient p"]),
        ({"slide_id": "a", "via": "pair-x"}, {"slide_id": "a"}, ["slide a through pair-x"]),
        ({"slide_id": "a", "split": "test"}, {"slide_id": "a"}, []),  # was kept for testing
        ({"slide_id": "a", "split": "val"}, {"slide_id": "a"}, ["slide a"]),
        ({"slide_id": "a", "split": "val"}, {"slide_id": "a", "split": "val"}, []),
        ({"slide_id": "a", "split": "train"}, {"slide_id": "a", "split": "val"}, ["slide a"]),
        ({"slide_id": "a", "traced": "no"}, {"slide_id": "a"}, []),  # names of files
        ({"slide_id": "a"}, {"slide_id": "a", "traced": "no"}, []),
        ({"slide_id": "a", "content": "1", "traced": "no"}, {"slide_id": "a", "content": "1"},
         ["the file of a"]),
        ({"slide_id": "a"}, {"slide_id": "b"}, []),  # neither file nor pixels are known
    ],
)  # fmt: skip
def test_tells_what_is_tested_and_was_learnt_from(learnt, tested, said):
    assert seen(learnt, tested) == said


def test_what_is_inherited_names_the_run_that_learnt_from_it():
    rows = table({"slide_id": "a"}, {"slide_id": "b", "via": "pair-x"}, {"split": "test"})
    assert inherited(rows, "teacher-10x")[["slide_id", "via"]].to_numpy().tolist() == [
        ["a", "teacher-10x"],
        ["b", "pair-x"],
    ]
