"""What a file is, told from its first bytes and never from its name."""

from pathlib import Path
from typing import Literal

from wsikd.errors import SlideError

FileKind = Literal["tiff", "dicom", "picture", "other"]

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, either byte order
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"\0\0\0\x0cjP  ")  # PNG, JPEG, BMP, JPEG 2000
_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")
_HEAD_BYTES = 132  # a DICOM file has its mark after 128 free bytes


def sniff(path: Path) -> FileKind:
    """Tell what kind of file a slide is.

    Returns
    -------
    {"tiff", "dicom", "picture", "other"}
        "other" may still be a slide: some vendors' files are indices without a mark.

    Raises
    ------
    SlideError
        If there is no such file, it is empty or it is a web page.
    """
    head = _read_head(path)
    if not head:
        raise SlideError(f"{path}: the file is empty; copy or download it again")
    if head.lstrip().lower().startswith(_WEB_PAGE):
        raise SlideError(f"{path}: a web page or XML text and no slide; download the slide again")
    if head.startswith(_TIFF):
        return "tiff"
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "picture"
    return "other"


def describe_head(path: Path) -> str:
    """Show the first bytes of a file, for the message that nothing reads it.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.svs"
    >>> _ = file.write_bytes(b"GIF89a and so on")
    >>> describe_head(file)
    "b'GIF89a a'"
    """
    return repr(_read_head(path)[:8])


def dicom_files(folder: Path) -> list[Path]:
    """List the DICOM files directly in a folder, sorted by name.

    Raises
    ------
    SlideError
        If there are none.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = [path for path in files if _read_head(path)[128:132] == b"DICM"]
    if not found:
        raise SlideError(f"{folder}: a folder without DICOM files; name a slide file")
    return found


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise SlideError(f"{path}: no such file") from None
    except OSError as error:
        raise SlideError(f"{path}: cannot be opened ({error.strerror})") from None
