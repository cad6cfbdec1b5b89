import pandas as pd
import pytest

from wsikd.config import Settings
from wsikd.status_table import StatusTable


class Outcome(Settings):
    slide_id: str
    part: str = ""
    pieces: int | None = None
    mpp: float | None = None
    error: str = ""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outcomes.csv"


def open_table(path, seconds=0.0):
    return StatusTable(path, Outcome, ("slide_id", "part"), holds="outcomes", seconds=seconds)


def test_the_file_is_the_fields_in_their_order_with_blanks_for_what_is_unknown(path):
    table = open_table(path)
    table.put(Outcome(slide_id="b", part="1", pieces=12, mpp=0.25))
    table.put(Outcome(slide_id="a", error='"no" µm, redo'))
    expected = 'slide_id,part,pieces,mpp,error\na,,,,"""no"" µm, redo"\nb,1,12,0.25,\n'
    assert path.read_text(encoding="utf-8") == expected


def test_rows_survive_the_file(path):
    error = 'C:\\Präparate\\a,b.svs: "no" format; convert'
    rows = [
        Outcome(slide_id="010", pieces=3, mpp=0.1 + 0.2, error=error),
        Outcome(slide_id="1,2", part="NA", error="None"),
    ]
    table = open_table(path)
    for row in rows:
        table.put(row)
    again = open_table(path)
    assert (again.rows, again.warning) == (rows, "")


def test_a_file_that_is_written_anew_from_itself_is_the_same(path):
    table = open_table(path)
    for number, mpp in enumerate((1e-5, 123456.789, 3.0, None)):
        table.put(Outcome(slide_id=str(number), mpp=mpp))
    before = path.read_bytes()
    open_table(path).write()
    assert path.read_bytes() == before


def test_rows_are_in_order_of_their_key_which_stays_text(path):
    table = open_table(path)
    for slide_id, part in (("010", "b"), ("002", ""), ("010", "a")):
        table.put(Outcome(slide_id=slide_id, part=part))
    written = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert written[["slide_id", "part"]].to_numpy().tolist() == [
        ["002", ""],
        ["010", "a"],
        ["010", "b"],
    ]


def test_a_key_has_its_latest_row_only(path):
    table = open_table(path)
    table.put(Outcome(slide_id="a", error="no"))
    table.put(Outcome(slide_id="a", pieces=1))
    again = open_table(path)
    assert again.rows == [Outcome(slide_id="a", pieces=1)]
    assert (again.get("a", ""), again.get("a", "1")) == (again.rows[0], None)


def test_a_row_that_is_dropped_is_in_the_file_no_longer(path):
    table = open_table(path)
    table.put(Outcome(slide_id="a"))
    table.put(Outcome(slide_id="b"))
    table.drop("a", "")
    table.drop("c", "")  # never there
    assert [row.slide_id for row in open_table(path).rows] == ["b"]


def test_changes_within_the_seconds_between_writes_wait_for_write(path):
    table = open_table(path, seconds=3600)
    table.put(Outcome(slide_id="a"))
    assert not path.exists()
    table.write()
    assert open_table(path).rows == [Outcome(slide_id="a")]


def test_an_empty_file_is_begun_anew(path):
    path.touch()
    table = open_table(path)
    table.put(Outcome(slide_id="a"))
    again = open_table(path)
    assert (table.warning, again.rows) == ("", [Outcome(slide_id="a")])


def test_a_column_that_a_later_version_added_takes_its_default(path):
    path.write_text("slide_id,part\na,1\n", encoding="utf-8")
    assert open_table(path).rows == [Outcome(slide_id="a", part="1")]


def test_a_column_of_the_users_own_is_passed_over(path):
    path.write_text("slide_id,part,note\na,1,mine\n", encoding="utf-8")
    assert open_table(path).rows == [Outcome(slide_id="a", part="1")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-30],  # in the middle of a line
        lambda whole: bytes(len(whole)),
        lambda whole: whole.replace(b"slide_id", b"lide_id"),
        lambda whole: whole.replace(b",7,", b",seven,"),
        lambda whole: whole + b'"',
        lambda whole: whole + b"a,b,c,d,e,f\n",
        lambda whole: whole + b"\xff" * 20,
    ],
)
def test_a_damaged_file_is_set_aside_whole_and_begun_anew(path, damage):
    open_table(path).put(Outcome(slide_id="a", pieces=7, error="x" * 50))
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    again = open_table(path)
    assert (again.rows, path.exists()) == ([], False)
    assert path.with_name("outcomes.csv.damaged").read_bytes() == damaged
    assert again.warning == (
        f"{path}: must be a table of outcomes; begun anew, what was there is in {path}.damaged"
    )


def test_two_tables_of_one_file_keep_each_others_rows(path):
    first, second = open_table(path), open_table(path)
    first.put(Outcome(slide_id="a", pieces=1))
    second.put(Outcome(slide_id="b", pieces=2))
    first.put(Outcome(slide_id="c", pieces=3))
    second.drop("a", "")
    second.put(Outcome(slide_id="b", pieces=4))
    first.write()
    assert [(row.slide_id, row.pieces) for row in open_table(path).rows] == [("b", 4), ("c", 3)]
    assert first.rows == open_table(path).rows


def test_what_a_process_left_that_was_killed_while_it_wrote_is_removed(path):
    left = path.with_name(f".{path.name}.99999.partial")
    left.write_text("slide_id,pa")
    other = path.with_name(".others.csv.99999.partial")
    other.write_text("")
    open_table(path).put(Outcome(slide_id="a"))
    assert not left.exists()
    assert other.exists()
