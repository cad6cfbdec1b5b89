"""What a file is, told from its first bytes and never from its name."""

from typing import Literal

FileKind = Literal["tiff", "dicom", "zarr", "picture", "other"]

HEAD_BYTES = 132  # a DICOM file has its mark after 128 free bytes
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, either byte order
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
# PNG, JPEG, BMP, JPEG 2000 as a file and bare
_PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7-Zip",
}


def kind_of(head: bytes) -> FileKind:
    r"""Tell what kind of file begins with these bytes; `HEAD_BYTES` are enough.

    Examples
    --------
    >>> kind_of(b"II*\0 and so on"), kind_of(b"slide_id,path")
    ('tiff', 'other')
    """
    if head.startswith(_TIFF):
        return "tiff"
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "picture"
    return "other"


def packing_of(head: bytes) -> str | None:
    r"""Name the program that unpacks a file of these first bytes; None if it is not packed.

    Examples
    --------
    >>> packing_of(b"\x1f\x8b\x08")
    'gzip'
    """
    return next((name for mark, name in _PACKINGS.items() if head.startswith(mark)), None)
