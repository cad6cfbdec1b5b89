import bz2
import gzip

import pytest

from wsikd.errors import SlideError
from wsikd.slides.sniff import dicom_files, sniff


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"II+\0\x08\0\0\0", "tiff"),
        (b"\0" * 128 + b"DICM", "dicom"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\xff\xd8\xff\xe0", "picture"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "picture"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "other"),
        (b"[Virtual Microscope Specimen]", "other"),
    ],
)
def test_tells_files_by_their_first_bytes_whatever_their_name(tmp_path, head, kind):
    file = tmp_path / "misleading.svs"
    file.write_bytes(head)
    assert sniff(file) == kind


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; copy or download it again"),
        (b"\n<!DOCTYPE html><html>", "a web page or XML text and no slide; download the slide"),
        (b"<html><body>404", "a web page or XML text and no slide; download the slide"),
    ],
)
def test_says_what_is_in_a_file_that_is_no_slide(tmp_path, content, message):
    file = tmp_path / "slide.svs"
    file.write_bytes(content)
    with pytest.raises(SlideError, match=f"slide.svs: {message}"):
        sniff(file)


def test_says_that_there_is_no_file(tmp_path):
    with pytest.raises(SlideError, match=r"gone.svs: no such file$"):
        sniff(tmp_path / "gone.svs")


def test_lists_the_dicom_files_of_a_folder_by_content(tmp_path):
    for name in ("b", "a.dcm"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "notes.dcm").write_text("not DICOM")
    assert [file.name for file in dicom_files(tmp_path)] == ["a.dcm", "b"]


def test_refuses_a_folder_without_dicom_files(tmp_path):
    with pytest.raises(SlideError, match=r"a folder without DICOM files; name a slide file$"):
        dicom_files(tmp_path)


@pytest.mark.parametrize(
    ("head", "packing"),
    [
        (gzip.compress(b"II*\0", mtime=0), "gzip"),
        (b"PK\x03\x04", "zip"),
        (bz2.compress(b"a"), "bzip2"),
    ],
)
def test_a_packed_slide_is_refused_with_what_unpacks_it(tmp_path, head, packing):
    path = tmp_path / "a.svs.gz"
    path.write_bytes(head)
    with pytest.raises(SlideError) as refused:
        sniff(path)
    assert str(refused.value) == f"{path}: a file that {packing} has packed; unpack it"


def test_an_index_whose_pixels_are_elsewhere_is_not_taken_for_the_slide(tmp_path):
    path = tmp_path / "a.VSI"
    path.write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(SlideError, match=r"pixels are in \.ets files, .*; export it as OME-TIFF"):
        sniff(path)
