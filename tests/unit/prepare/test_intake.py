from pathlib import Path

import pytest

from wsikd.cohort.manifest import write_manifest
from wsikd.errors import LeakageError, ManifestError
from wsikd.prepare import take_in


@pytest.fixture
def workspace(tmp_path):
    """Return the path of a workspace's manifest, and a folder of slides a and b with labels."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("a.svs", "b.svs"):
        (folder / name).write_bytes(b"slide")
    (folder / "table.csv").write_text(
        "slide_id,patient_id,path,label,scanner\na,p1,a.svs,tumour,x\nb,,b.svs,,y\n"
    )
    return tmp_path / "slides.csv", folder


def cells(table, *columns):
    return table[["slide_id", *columns]].values.tolist()


def test_a_folders_own_table_is_its_manifest(workspace):
    existing, folder = workspace
    table = take_in(existing, folder, None)
    assert cells(table, "label", "scanner") == [["a", "tumour", "x"], ["b", "", "y"]]
    assert table["path"].tolist() == [str(folder / "a.svs"), str(folder / "b.svs")]


def test_filled_cells_win_and_what_was_filled_in_here_stays(workspace):
    existing, folder = workspace
    table = take_in(existing, folder, None)
    here = table.assign(patient_id=["q1", "q2"], split=["train", "test"], label=["old", "ours"])
    write_manifest(here, existing)
    joined = take_in(existing, folder, None)
    assert cells(joined, "patient_id", "label", "split") == [
        ["a", "p1", "tumour", "train"],
        ["b", "q2", "ours", "test"],
    ]


def test_new_slides_come_after_those_that_were_there(workspace):
    existing, folder = workspace
    (folder / "table.csv").unlink()
    write_manifest(take_in(existing, folder, None).iloc[[1]], existing)
    (folder / "0.svs").write_bytes(b"slide")
    assert take_in(existing, folder, None)["slide_id"].tolist() == ["b", "0", "a"]


def test_a_slide_keeps_its_name_when_one_of_the_same_name_comes_beside_it(workspace):
    existing, folder = workspace
    (folder / "table.csv").unlink()
    write_manifest(take_in(existing, folder, None), existing)
    (folder / "b.tif").write_bytes(b"slide")
    joined = take_in(existing, folder / ".." / "slides", None)
    assert [[name, Path(path).name] for name, path in cells(joined, "path")] == [
        ["a", "a.svs"],
        ["b", "b.svs"],
        ["b.tif", "b.tif"],
    ]


def test_a_name_of_ones_own_stays_when_the_folder_is_listed_again(workspace):
    existing, folder = workspace
    (folder / "table.csv").unlink()
    write_manifest(take_in(existing, folder, None).assign(slide_id=["one", "two"]), existing)
    assert take_in(existing, folder, None)["slide_id"].tolist() == ["one", "two"]


def test_another_file_is_not_given_the_name_of_a_slide_that_is_gone(workspace):
    existing, folder = workspace
    (folder / "table.csv").unlink()
    write_manifest(take_in(existing, folder, None), existing)
    (folder / "b.svs").rename(folder / "b.tif")
    assert take_in(existing, folder, None)["slide_id"].tolist() == ["a", "b", "b.tif"]


def test_a_slide_that_was_moved_keeps_its_name(workspace):
    existing, folder = workspace
    (folder / "table.csv").unlink()
    write_manifest(take_in(existing, folder, None), existing)
    moved = folder.rename(folder.with_name("moved"))
    table = take_in(existing, moved, None)
    assert cells(table, "path") == [["a", str(moved / "a.svs")], ["b", str(moved / "b.svs")]]


@pytest.mark.parametrize("text", ["slide_id,label\nb,x\n", "path,label\nb.svs,x\nb.tif,y\n"])
def test_a_folders_table_finds_its_slide_by_the_name_it_had(workspace, text):
    existing, folder = workspace
    (folder / "table.csv").unlink()
    write_manifest(take_in(existing, folder, None), existing)
    (folder / "b.tif").write_bytes(b"slide")
    (folder / "table.csv").write_text(text)
    labelled = take_in(existing, folder, None).set_index("slide_id")
    assert (labelled.at["b", "label"], Path(labelled.at["b", "path"]).name) == ("x", "b.svs")


@pytest.mark.parametrize("name", ["Mu\u0308ller", "M\xfcller", "Mu\u0308ller.svs"])
def test_a_table_means_the_slide_that_is_here_however_it_spells_its_name(tmp_path, name):
    existing, folder = tmp_path / "slides.csv", tmp_path / "slides"
    folder.mkdir()
    (folder / "Mu\u0308ller.svs").touch()
    write_manifest(take_in(existing, folder, None), existing)
    (folder / "table.csv").write_text(f"slide_id,path,label\n{name},Mu\u0308ller.svs,x\n")
    assert cells(take_in(existing, folder, None), "label") == [["M\xfcller", "x"]]


def test_a_table_may_have_the_ids_that_slides_have_here_with_any_suffix(tmp_path):
    existing, folder = tmp_path / "slides.csv", tmp_path / "slides"
    for name in ("x/a.SVS", "y/a.SVS"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    write_manifest(take_in(existing, folder, None), existing)
    rows = "x-a.svs,x/a.SVS,t\ny-a,y/a.SVS,n\nmine,z/b.svs,n\n"
    (folder / "table.csv").write_text(f"slide_id,path,label\n{rows}")
    joined = take_in(existing, folder, None)
    assert cells(joined, "label") == [["x-a", "t"], ["y-a", "n"], ["mine", "n"]]


def test_an_id_of_an_older_workspace_stays_as_its_folder_in_the_store_is_called(tmp_path):
    existing, folder = tmp_path / "slides.csv", tmp_path / "slides"
    folder.mkdir()
    (folder / "Mu\u0308ller.svs").touch()
    existing.write_text("slide_id,path\nMu\u0308ller,slides/Mu\u0308ller.svs\n")
    assert take_in(existing, folder, None)["slide_id"].tolist() == ["Mu\u0308ller"]
    (folder / "table.csv").write_text("slide_id,path,label\nM\xfcller,M\xfcller.svs,x\n")
    assert cells(take_in(existing, folder, None), "label") == [["Mu\u0308ller", "x"]]


def test_two_rows_of_a_table_that_mean_one_slide_here_are_refused(workspace):
    existing, folder = workspace
    write_manifest(take_in(existing, folder, None), existing)
    (folder / "table.csv").write_text("slide_id,path\na,a.svs\na.svs,a.svs\n")
    with pytest.raises(ManifestError, match="slide_id 'a' is in rows 2 and 3; give each slide its"):
        take_in(existing, folder, None)


def test_pictures_are_named_after_their_paths_and_keep_their_names(tmp_path):
    existing, folder = tmp_path / "slides.csv", tmp_path / "tiles"
    for name in ("tumour/1.png", "normal/1.png", "normal/2.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    rows = "tumour/1.png,p1,t,train\nnormal/1.png,p2,n,test\nnormal/2.png,p2,n,test\n"
    (folder / "labels.csv").write_text(f"path,patient_id,label,split\n{rows}")
    told: list[str] = []
    table = take_in(existing, folder, None, told.append)
    assert cells(table, "patient_id", "split") == [
        ["tumour-1", "p1", "train"],
        ["normal-1", "p2", "test"],
        ["2", "p2", "test"],
    ]
    write_manifest(table, existing)
    (folder / "other").mkdir()
    (folder / "other" / "2.png").write_bytes(b"new")
    assert take_in(existing, folder, None, told.append)["slide_id"].tolist() == list(
        table["slide_id"]
    )
    labels = folder / "labels.csv"
    assert told == [
        f"{labels}: 1 of 4 slides beside it are not in it and left out, the first is 2.png"
    ]


def test_what_is_left_out_of_a_folder_is_told(workspace):
    existing, folder = workspace
    (folder / "table.csv").rename(folder / "table.txt")
    told: list[str] = []
    take_in(existing, folder, None, told.append)
    assert told == [f"{folder}: 1 file left out as no slides, the first is table.txt"]


def test_slides_no_longer_in_the_folder_stay(workspace):
    existing, folder = workspace
    write_manifest(take_in(existing, folder, None), existing)
    (folder / "table.csv").write_text("slide_id,path\na,a.svs\n")
    assert take_in(existing, folder, None)["slide_id"].tolist() == ["a", "b"]


def test_unknown_columns_of_both_are_kept(workspace):
    existing, folder = workspace
    write_manifest(take_in(existing, folder, None).assign(note=["n1", ""]), existing)
    joined = take_in(existing, folder, None)
    assert cells(joined, "note", "scanner") == [["a", "n1", "x"], ["b", "", "y"]]


def test_without_folder_or_table_the_workspaces_manifest_is_taken(workspace):
    existing, folder = workspace
    write_manifest(take_in(existing, folder, None), existing)
    assert take_in(existing, None, None)["slide_id"].tolist() == ["a", "b"]


def test_slides_of_a_table_elsewhere_are_looked_for_in_the_folder(workspace, tmp_path):
    existing, folder = workspace
    table = tmp_path / "elsewhere" / "cohort.csv"
    table.parent.mkdir()
    table.write_text("slide_id,path\na,old/a.svs\nc,old/c.svs\n")
    taken = take_in(existing, folder, table)
    assert taken["path"].tolist() == [str(folder / "a.svs"), str(table.parent / "old" / "c.svs")]


def test_a_table_without_paths_needs_a_folder_to_find_its_slides_in(workspace, tmp_path):
    existing, folder = workspace
    table = tmp_path / "cohort.csv"
    table.write_text("slide_id,label\nb,x\n")
    assert take_in(existing, folder, table)["path"].tolist() == [str(folder / "b.svs")]
    with pytest.raises(ManifestError, match=r"needs a column path, has .*; add the column path"):
        take_in(existing, None, table)


@pytest.mark.parametrize("brought", ["folder", "table", "nothing"])
def test_a_patient_in_two_splits_is_refused_however_it_comes(workspace, brought):
    existing, folder = workspace
    table = folder / "table.csv"
    table.write_text("slide_id,patient_id,path,split\na,p,a.svs,train\nb,p,b.svs,test\n")
    if brought == "nothing":
        table.rename(existing)
    given = {"folder": (folder, None), "table": (None, table), "nothing": (None, None)}
    with pytest.raises(LeakageError, match="patient_id 'p' is in split test and train"):
        take_in(existing, *given[brought])


def test_nothing_to_take_in_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"slides\.csv: no such file"):
        take_in(tmp_path / "slides.csv", None, None)
