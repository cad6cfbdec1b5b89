"""What the metadata of a file say of its resolution: texts, tags and OME-XML, unjudged."""

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import ParseError  # nosec: the error alone

import tifffile

from wsikd.geometry import Mpp

_UM = {"µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4,
       "m": 1e6, "pm": 1e-6, "Å": 1e-4, "in": 25400.0, "inch": 25400.0}  # fmt: skip
_UM_OF_TAG = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}  # of the tag ResolutionUnit
_PRINT_MPP = 20.0  # 1270 dpi: printers have less, and slides are scanned finer
_OTHER_MPP = 1.15  # times what it is compared with
_LEAST_DPI = 10.0  # below, a program filled in a tag of which it knew nothing


def parse_number(stated: object) -> float | None:
    """Read a number as scanners write it; None where there is none.

    Examples
    --------
    >>> parse_number("0,2520"), parse_number("20x"), parse_number(""), parse_number(40)
    (0.252, 20.0, None, 40.0)
    >>> parse_number("0.5 um")
    0.5
    """
    if stated is None:
        return None
    try:
        text = _plain_unit(stated).rstrip("xX ")
        for unit in ("µm", "um"):
            text = text.removesuffix(unit)
        return float(text.replace(",", "."))
    except ValueError:
        return None


def unread(stated: Mapping[str, object], names: Iterable[str]) -> tuple[str, ...]:
    """Say which of these entries hold a text that is no number.

    Examples
    --------
    >>> unread({"MPP": "0.2.5", "AppMag": "40", "Left": ""}, ["MPP", "AppMag", "Left"])
    ("its MPP '0.2.5' is no number and is ignored",)
    """
    return tuple(
        f"its {name} {str(stated[name]).strip()!r} is no number and is ignored"
        for name in names
        if str(stated.get(name) or "").strip() and parse_number(stated[name]) is None
    )


def tags_mpp(page: tifffile.TiffPage) -> Mpp | None:
    """Return the µm per pixel that the resolution tags of a TIFF page state."""
    um = _UM_OF_TAG.get(int(page.resolutionunit or 0))
    x, y = page.resolution
    return None if um is None or min(x, y) <= 0 else Mpp(um / x, um / y)


def imagej_mpp(file: tifffile.TiffFile) -> Mpp | None:
    """Return the µm per pixel of a TIFF of ImageJ, which states the unit in its description."""
    unit = _UM.get(_plain_unit((file.imagej_metadata or {}).get("unit")))
    x, y = file.pages.first.resolution
    return None if unit is None or min(x, y) <= 0 else Mpp(unit / x, unit / y)


def without_print(mpp: Mpp | None) -> tuple[Mpp | None, tuple[str, ...]]:
    """Tell what a resolution tag says of the slide from what it says of printing it.

    Returns
    -------
    mpp : Mpp or None
        As given, if a slide can be scanned so.
    notes : tuple of str
        What was left out.

    Examples
    --------
    >>> without_print(Mpp(25400 / 300, 25400 / 300))
    (None, ('the 300 dpi of its resolution tag say how to print it and are ignored',))
    """
    if mpp is None or min(mpp) < _PRINT_MPP:
        return mpp, ()
    dpi = 25400 / mpp.x
    if dpi < _LEAST_DPI:
        return None, ()
    return None, (f"the {dpi:.4g} dpi of its resolution tag say how to print it and are ignored",)


def contradiction(used: Mpp, tagged: Mpp | None) -> tuple[str, ...]:
    """Say that the resolution tags of a file say otherwise than what of it is used.

    Examples
    --------
    >>> contradiction(Mpp(0.5, 0.5), Mpp(0.25, 0.25))
    ('its resolution tags say 0.25 µm per pixel, 0.5 is used',)
    """
    if tagged is None or max(used.x / tagged.x, tagged.x / used.x) < _OTHER_MPP:
        return ()
    return (f"its resolution tags say {tagged.x:g} µm per pixel, {used.x:g} is used",)


def ome_images(file: tifffile.TiffFile) -> list[dict[str, Any]]:
    """List what OME-XML holds of the pixels of each image; nothing for a TIFF without."""
    if not file.is_ome or file.ome_metadata is None:
        return []
    try:
        images = tifffile.xml2dict(file.ome_metadata)["OME"].get("Image", [])
    except (ParseError, KeyError, AttributeError):  # tifffile reads the pixels without it
        return []
    images = images if isinstance(images, list) else [images]
    return [image.get("Pixels", {}) for image in images]


def ome_mpp(pixels: dict[str, Any]) -> Mpp | None:
    """Return the µm per pixel that OME-XML states of an image."""
    sides = []
    for axis in "XY":
        size = parse_number(pixels.get(f"PhysicalSize{axis}"))
        um = _UM.get(_plain_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm")))
        if size is None or um is None:  # not stated, or in a unit that is no length
            return None
        sides.append(size * um)
    return Mpp(*sides)


def _plain_unit(unit: object) -> str:
    """Spell the two signs for micro alike, the Greek letter and the sign of its own."""
    return str(unit).strip().replace("\u03bc", "µ").replace("\\u00B5", "µ")
