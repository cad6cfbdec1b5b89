import pandas as pd
import pytest

from tests.builders import slide_record
from wsikd.cohort.columns import COLUMNS
from wsikd.data.copies import refuse_copies
from wsikd.errors import LeakageError
from wsikd.files import write_json
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


def test_what_is_no_copy_or_not_prepared_may_be_anywhere(store):
    train, test = {"split": "train"}, {"split": "test", "patient_id": "q"}
    refuse_copies(store, table_of(a=train, b=train, c=test, d=train, e=test, gone=test))
