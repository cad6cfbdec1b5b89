"""What a file is, told from its first bytes and never from its name."""

from pathlib import Path

from wsikd.errors import SlideError
from wsikd.file_kinds import HEAD_BYTES, FileKind, kind_of, packing_of

__all__ = ["FileKind", "describe_head", "dicom_files", "is_dicom_volume", "sniff"]

_ZARR = ("zarr.json", ".zattrs", ".zgroup")  # of a group, in version 3 or 2
_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")


def sniff(path: Path) -> FileKind:
    """Tell what kind of file a slide is, or what kind of folder.

    Returns
    -------
    {"tiff", "dicom", "zarr", "picture", "other"}
        A folder is "zarr" or taken for "dicom". "other" may still be a slide: some vendors' files
        are indices without a mark.

    Raises
    ------
    SlideError
        If there is no such file, it is empty, packed, a web page or an index of files that no
        reader knows.
    """
    if path.is_dir():
        is_zarr = any((path / name).is_file() for name in _ZARR)
        return "zarr" if is_zarr else "dicom"
    head = _read_head(path)
    if not head:
        raise SlideError(f"{path}: the file is empty; copy or download it again")
    if head.lstrip().lower().startswith(_WEB_PAGE):
        raise SlideError(f"{path}: a web page or XML text and no slide; download the slide again")
    if packing := packing_of(head):
        raise SlideError(f"{path}: a file that {packing} has packed; unpack it")
    if path.suffix.lower() == ".vsi":  # begins like a TIFF and has the label and an overview
        raise SlideError(
            f"{path}: its pixels are in .ets files, which no reader knows; export it as OME-TIFF"
        )
    return kind_of(head)


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


def is_dicom_volume(path: Path) -> bool:
    """Tell whether a DICOM file holds a level of the slide, not its label or an overview.

    The attribute Image Type (0008,0008) is looked for as it stands in explicit VR little endian,
    the only spelling in use where pixels are compressed.
    """
    head = _read_head(path, 4096)
    tag = head.find(b"\x08\x00\x08\x00CS")
    return tag >= 0 and b"VOLUME" in head[tag + 8 : tag + 8 + head[tag + 6]]


def _read_head(path: Path, count: int = HEAD_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        raise SlideError(f"{path}: no such file") from None
    except OSError as error:
        raise SlideError(f"{path}: cannot be opened ({error.strerror})") from None
