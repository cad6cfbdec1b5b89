import json
import shutil

import pytest

from tests.builders import write_plain_slide
from wsikd.cli import main
from wsikd.geometry import Size
from wsikd.prepare import SlideStatus
from wsikd.status_table import StatusTable


@pytest.fixture
def workspace(tmp_path):
    """Return a workspace of two slides with their rows."""
    store = tmp_path / "regions"
    table = StatusTable(store / "status.csv", SlideStatus, ("slide_id",), holds="outcomes")
    for slide_id in ("a", "b"):
        write_plain_slide(store, slide_id, {"region-000": Size(64, 32)})
        table.put(SlideStatus(slide_id=slide_id, path="", status="done"))
    return tmp_path


def check(workspace, *options):
    return main(["check", *options, "--workspace", str(workspace)])


def cut(workspace, slide_id):
    path = workspace / "regions" / slide_id / "region-000.ome.zarr" / "0" / "c" / "0" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-1])


def test_whole_slides_are_told_as_such_and_exit_with_0(workspace, capsys):
    assert check(workspace) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1] == (
        f"{workspace / 'regions'}: 2 slides are as they were written"
    )


def test_some_damaged_slides_exit_with_3_and_all_with_4(workspace, capsys):
    store = workspace / "regions"
    cut(workspace, "b")
    assert check(workspace) == 3
    shown = capsys.readouterr()
    assert shown.out == (
        "wrong  b: region-000.ome.zarr/0/c/0/0/0 is not as it was written; "
        f"remove {store / 'b'} and run wsikd prepare\n"
    )
    assert shown.err.endswith(f"wsikd: {store}: 1 of 2 slides are damaged\n")
    cut(workspace, "a")
    assert check(workspace) == 4
    assert capsys.readouterr().err.endswith(f"wsikd: {store}: all 2 slides are damaged\n")


def test_a_folder_can_be_named_and_the_findings_are_json_for_machines(workspace, capsys):
    cut(workspace, "b")
    elsewhere = (workspace / "regions").rename(workspace / "moved")
    assert main(["check", str(elsewhere), "--json", "--workspace", str(workspace)]) == 3
    (finding,) = json.loads(capsys.readouterr().out)
    assert (finding["slide_id"], finding["state"]) == ("b", "wrong")


def test_markers_and_table_are_held_against_each_other(workspace, capsys):
    store = workspace / "regions"
    (store / "b" / "slide.json").unlink()
    shutil.rmtree(store / "a")
    (store / ".c.partial").mkdir()
    write_plain_slide(store, "d", {"region-000": Size(64, 32)})
    assert check(workspace) == 3
    left = "run wsikd prepare to do it, or remove the folder"
    mend = f"remove {store / 'b'} and run wsikd prepare"
    assert capsys.readouterr().out.splitlines() == [
        "wrong  a: is done by status.csv, and has no folder; run wsikd prepare",
        "note   d: has no row in status.csv; run wsikd prepare, which writes it",
        f"note   c: .c.partial was left when its preparation was stopped; {left}",
        f"wrong  b: has no slide.json, so it is not complete; {mend}",
    ]


def test_a_damaged_table_is_told_and_left_as_it_is(workspace, capsys):
    (workspace / "regions" / "status.csv").write_text("<html>")
    assert check(workspace) == 3
    assert "status.csv is missing or damaged; run wsikd prepare" in capsys.readouterr().out
    assert (workspace / "regions" / "status.csv").read_text() == "<html>"


def test_a_folder_without_slides_is_refused(tmp_path, capsys):
    (tmp_path / "regions").mkdir()
    assert check(tmp_path) == 4
    assert "holds no slide; prepare some with `wsikd prepare`" in capsys.readouterr().err
