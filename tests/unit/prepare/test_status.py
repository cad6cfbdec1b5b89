import pandas as pd
import pytest

from wsikd.prepare import SlideStatus
from wsikd.prepare.status import StatusTable


def test_texts_with_commas_quotes_and_umlauts_survive_the_file(tmp_path):
    table = StatusTable(tmp_path / "status.csv")
    error = 'C:\\Präparate\\a,b.svs: "no" format; convert'
    table.add(SlideStatus(slide_id="1,2", path="ä", status="failed", error=error))
    table.write()
    again = StatusTable(tmp_path / "status.csv")
    assert again.rows["1,2"]["error"] == error


def test_rows_are_in_order_of_slide_id_and_ids_stay_text(tmp_path):
    table = StatusTable(tmp_path / "status.csv")
    for slide_id in ("010", "002"):
        table.add(SlideStatus(slide_id=slide_id, path="p", status="done"))
    table.write()
    written = pd.read_csv(tmp_path / "status.csv", dtype=str, keep_default_na=False)
    assert written["slide_id"].tolist() == ["002", "010"]
    assert list(written.columns) == list(SlideStatus.model_fields)


def test_a_slide_has_its_latest_row_only(tmp_path):
    table = StatusTable(tmp_path / "status.csv")
    table.add(SlideStatus(slide_id="a", path="p", status="failed", error="no"))
    table.add(SlideStatus(slide_id="a", path="p", status="done"))
    table.write()
    rows = StatusTable(tmp_path / "status.csv").rows
    assert (rows["a"]["status"], rows["a"]["error"]) == ("done", "")


def test_an_empty_file_is_begun_anew(tmp_path):
    (tmp_path / "status.csv").touch()
    table = StatusTable(tmp_path / "status.csv")
    table.add(SlideStatus(slide_id="a", path="p", status="done"))
    table.write()
    assert list(StatusTable(tmp_path / "status.csv").rows) == ["a"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-30],  # in the middle of a line
        lambda whole: bytes(len(whole)),
        lambda whole: whole.replace(b"slide_id", b"lide_id"),
        lambda whole: whole + b'"',
        lambda whole: whole + b"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\n",
        lambda whole: whole + b"\xff" * 20,
    ],
)
def test_a_damaged_file_is_set_aside_whole_and_begun_anew(tmp_path, damage):
    path = tmp_path / "status.csv"
    table = StatusTable(path)
    table.add(SlideStatus(slide_id="a", path="p", status="done", error="x" * 50))
    table.write()
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    again = StatusTable(path)
    assert (again.rows, path.exists()) == ({}, False)
    assert (tmp_path / "status.csv.damaged").read_bytes() == damaged
    assert again.warning == (
        f"{path}: must be a table of outcomes; begun anew, what was there is in {path}.damaged"
    )


def test_a_whole_file_is_not_warned_of(tmp_path):
    table = StatusTable(tmp_path / "status.csv")
    table.add(SlideStatus(slide_id="a", path="p", status="done"))
    table.write()
    assert StatusTable(tmp_path / "status.csv").warning == ""
