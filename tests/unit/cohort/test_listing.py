from pathlib import Path

from wsikd.cohort.listing import list_slides, name_slides


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in list_slides(folder)]


def test_lists_slides_by_name_whatever_the_case_of_their_suffix(tmp_path):
    fill(tmp_path, "b.SVS", "a.tif", "c.mrxs", "d.jpg")
    assert names_in(tmp_path) == ["a.tif", "b.SVS", "c.mrxs", "d.jpg"]


def test_leaves_out_tables_texts_hidden_files_and_what_is_deeper(tmp_path):
    fill(tmp_path, "a.csv", "a.json", "a.xml", "a.txt", "a.md", "README", "._a.svs", "deep/a.svs")
    fill(tmp_path, "a/Slidedat.ini", "a/Data0000.dat")  # a MIRAX slide's own folder
    assert names_in(tmp_path) == []


def test_takes_the_folder_of_a_dicom_series_as_one_slide(tmp_path):
    fill(tmp_path, "1.2.840/a.dcm", "1.2.840/b.DCM", "1.2.840/.DS_Store")
    fill(tmp_path, "mixed/a.dcm", "mixed/readme.txt", "single.dcm")
    (tmp_path / "empty").mkdir()
    assert names_in(tmp_path) == ["1.2.840", "single.dcm"]


def test_names_a_dicom_series_after_its_whole_folder():
    assert name_slides([Path("in/1.2.840"), Path("in/single.dcm")]) == ["1.2.840", "single"]


def test_keeps_the_suffix_of_all_whose_names_would_collide():
    paths = [Path("a.svs"), Path("a.tif"), Path("a"), Path("b.svs")]
    assert name_slides(paths) == ["a.svs", "a.tif", "a", "b"]
