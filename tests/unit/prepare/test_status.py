import pandas as pd

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
