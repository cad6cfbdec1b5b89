import os
from pathlib import Path

import pytest

from wsikd.cohort.listing import list_slides

TIFF, JPEG = b"II*\0\x08\0\0\0", b"\xff\xd8\xff\xe0"
DICOM = b"\0" * 128 + b"DICM"


def fill(folder: Path, *names: str, head: bytes = b"") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(head)


def dicom_file(series: str, length: int = 0) -> bytes:
    """The header of a DICOM file, explicit little endian, that refers to another series before."""
    uids = [(b"\x20\0\x0e\0", "9.9"), (b"\x20\0\x0d\0", "1.2.3"), (b"\x20\0\x0e\0", series)]
    elements = (tag + b"UI" + len(uid).to_bytes(2, "little") + uid.encode() for tag, uid in uids)
    return DICOM + b"".join(elements) + b"\0" * length


def names_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in list_slides(folder).slides]


def test_lists_slides_by_name_whatever_the_case_of_their_suffix(tmp_path):
    fill(tmp_path, "b.SVS", "a.tif", "c.mrxs", "d.jpg", "e.Tf8", "f.BTF", "g.tf2", "h.bmp", "i.JP2")
    found = ["a.tif", "b.SVS", "c.mrxs", "d.jpg", "e.Tf8", "f.BTF", "g.tf2", "h.bmp", "i.JP2"]
    assert names_in(tmp_path) == found
    assert not list(list_slides(tmp_path).notes())


def test_lists_what_no_reader_opens_so_that_its_row_says_so(tmp_path):
    fill(tmp_path, "a.vsi", "b.svs.gz", "c.NDPI.zst", "d.isyntax", "_a_/stack1/frame_t.ets")
    fill(tmp_path, "e.svs ", "f.ome.zarr/zarr.json")
    (tmp_path / "gone.svs").symlink_to(tmp_path / "nowhere.svs")
    assert names_in(tmp_path) == [
        *("a.vsi", "b.svs.gz", "c.NDPI.zst", "d.isyntax", "e.svs ", "f.ome.zarr", "gone.svs")
    ]


def test_a_file_of_another_name_is_a_slide_if_it_begins_like_one(tmp_path):
    fill(tmp_path, "scan", "scan.001", "a.lsm", head=TIFF)
    fill(tmp_path, "photo", "b.jfif", head=JPEG)
    fill(tmp_path, "README", "c.bin", "DICOMDIR", head=b"not a slide")
    fill(tmp_path, "DICOMDIR", head=DICOM)
    assert names_in(tmp_path) == ["a.lsm", "b.jfif", "photo", "scan", "scan.001"]


def test_finds_slides_in_subfolders_and_counts_what_holds_none(tmp_path):
    fill(tmp_path, "a.svs", "6f1c/deep/b.svs", "6f1c/logs/b.parcel", "6f1c/annotations.txt")
    fill(tmp_path, "notes.txt", "empty/inner/x.txt", "z/c.tif")
    listing = list_slides(tmp_path)
    assert names_in(tmp_path) == ["6f1c/deep/b.svs", "a.svs", "z/c.tif"]
    told = "2 files and 2 subfolders left out as no slides, the first is 6f1c/annotations.txt"
    assert list(listing.notes()) == [f"{tmp_path}: {told}"]


def test_one_file_or_one_subfolder_that_is_left_out_is_counted_as_one(tmp_path):
    fill(tmp_path, "a.svs", "a.txt")
    assert list_slides(tmp_path).left_out() == "1 file left out as no slides, the first is a.txt"
    (tmp_path / "a.txt").unlink()
    fill(tmp_path, "old/notes.txt")
    assert list_slides(tmp_path).left_out() == "1 subfolder left out as no slides, the first is old"


def test_passes_over_hidden_entries_what_wsikd_made_and_what_belongs_to_a_slide(tmp_path):
    fill(tmp_path, "a.mrxs", "a/Slidedat.ini", "a/Data0000.dat", "._a.svs", ".trash/b.svs")
    fill(tmp_path, "regions/status.csv", "regions/.locks/a", "regions/a/thumbnail.png")
    fill(tmp_path, "other/a/slide.json", "other/a/thumbnail.png", "runs/t/run.json")
    fill(
        tmp_path, "h.vms", head=b"[Virtual Microscope Specimen]\nImageFile=h.jpg\r\nMapFile=m.jpg\n"
    )
    fill(tmp_path, "h.jpg", "m.jpg", head=JPEG)
    assert names_in(tmp_path) == ["a.mrxs", "h.vms"]
    assert list_slides(tmp_path).other_files == []


def test_pictures_in_subfolders_are_slides_only_where_there_are_no_others(tmp_path):
    fill(tmp_path, "tumour/1.png", "normal/1.png", "top.png")
    assert names_in(tmp_path) == ["normal/1.png", "top.png", "tumour/1.png"]
    fill(tmp_path, "normal/a.svs")
    assert names_in(tmp_path) == ["normal/a.svs", "top.png"]
    assert (
        list_slides(tmp_path).left_out()
        == "2 files left out as no slides, the first is normal/1.png"
    )


def test_links_that_lead_back_end_and_a_folder_is_searched_once(tmp_path):
    fill(tmp_path, "in/a.svs")
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "twice").symlink_to(tmp_path / "in")
    assert names_in(tmp_path) == ["in/a.svs"]
    outside = tmp_path.with_name(f"{tmp_path.name}-other-disk")
    fill(outside, "b.svs")
    (tmp_path / "linked").symlink_to(outside)
    assert names_in(tmp_path) == ["in/a.svs", "linked/b.svs"]


def test_a_subfolder_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    fill(folder, "a.svs", "half/d.svs", "half/notes", "private/b.svs", "z/c.svs")
    (folder / "private").chmod(0)
    (folder / "half").chmod(0o644)  # what is in it can be listed, but not opened
    as_root = os.geteuid() == 0
    if as_root:  # who may read everything
        for above in (folder, *folder.parents[:3]):  # one more below a worker of xdist
            above.chmod(0o755)
        os.seteuid(65534)
    try:
        listing = list_slides(folder)
    finally:
        if as_root:
            os.seteuid(0)
        (folder / "private").chmod(0o700)
        (folder / "half").chmod(0o700)
    assert [path.name for path in listing.slides] == ["a.svs", "d.svs", "c.svs"]
    assert list(listing.notes()) == [
        f"{folder}/private: cannot be read (Permission denied), slides in it are left out",
        f"{folder}: 1 file left out as no slides, the first is half/notes",
    ]


class TestDicom:
    def test_a_folder_with_the_files_of_a_series_is_one_slide_whatever_else_is_in_it(
        self, tmp_path
    ):
        fill(tmp_path, "1.2.840/a.dcm", "1.2.840/b.DCM", "1.2.840/.DS_Store")
        fill(tmp_path, "mixed/a.dcm", "mixed/readme.txt", "mixed/macro.jpg", "single.dcm")
        fill(tmp_path, "plain/IM0001", "plain/IM0002", head=dicom_file("1.2"))
        assert names_in(tmp_path) == ["1.2.840", "mixed", "plain", "single.dcm"]
        others = [path.name for path in list_slides(tmp_path).other_files]
        assert others == ["macro.jpg", "readme.txt"]

    def test_the_folder_that_is_given_may_be_the_series(self, tmp_path):
        fill(tmp_path, "a.dcm", "b.dcm", head=dicom_file("1.2"))
        fill(tmp_path, "macro.jpg")
        listing = list_slides(tmp_path)
        assert (listing.slides, listing.other_files) == ([tmp_path], [tmp_path / "macro.jpg"])

    @pytest.mark.parametrize("folder", ["", "study"])
    def test_of_several_series_in_a_folder_each_is_a_slide_by_its_largest_file(
        self, tmp_path, folder
    ):
        for name, series, length in (("a", "1.2", 5), ("b", "1.3", 1), ("c", "1.2", 9)):
            fill(tmp_path / folder, f"{name}.dcm", head=dicom_file(series, length))
        assert [Path(name).name for name in names_in(tmp_path)] == ["b.dcm", "c.dcm"]

    def test_a_slide_of_another_kind_beside_a_series_is_a_slide_too(self, tmp_path):
        fill(tmp_path, "a.dcm", "b.dcm", head=dicom_file("1.2"))
        fill(tmp_path, "b.dcm", head=dicom_file("1.2", 5))
        fill(tmp_path, "c.svs")
        assert names_in(tmp_path) == ["b.dcm", "c.svs"]


def test_a_pipe_is_left_out_as_to_open_it_would_wait_for_ever(tmp_path):
    fill(tmp_path, "a.svs")
    os.mkfifo(tmp_path / "pipe.svs")
    assert names_in(tmp_path) == ["a.svs"]
    assert "pipe.svs" in " ".join(list_slides(tmp_path).notes())
