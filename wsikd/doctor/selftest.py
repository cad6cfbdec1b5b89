"""The way of a small slide, from its file to a region, held against Pillow."""

import tempfile
import time
from pathlib import Path

from wsikd.doctor.finding import Finding
from wsikd.errors import WsikdError

_MAGNIFICATION = 2.5
_MOST_APART = 1  # grey levels, as docs/decisions.md says of the kernels


def try_a_slide() -> Finding:
    """Draw a slide, prepare it, read a region and compare it with Pillow's reduction."""
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="wsikd-doctor-") as folder:
            size, apart = _compare(Path(folder))
    except ImportError as error:
        told = f"left out, as {error.name or 'a library'} is missing"
        return Finding(what="self-test", state="note", found=told)
    except (WsikdError, OSError, RuntimeError, ValueError) as error:
        told = " ".join(str(error).split())
        return Finding(
            what="self-test",
            state="wrong",
            found=f"a drawn slide cannot be prepared: {told}",
            remedy="install the versions of constraints.txt",
        )
    told = f"a drawn slide's {size}, at most {apart} of 255 from Pillow's"
    if apart > _MOST_APART:
        remedy = "install the versions of constraints.txt"
        return Finding(what="self-test", state="wrong", found=told, remedy=remedy)
    took = f"{time.monotonic() - start:.1f} s"
    return Finding(what="self-test", state="ok", found=f"{told}, in {took}")


def _compare(folder: Path) -> tuple[str, int]:
    """Return the size of a region at a low magnification, and how far it is from Pillow's."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from wsikd.drawn import DrawSettings, draw_slides  # noqa: PLC0415
    from wsikd.geometry import Region, Size  # noqa: PLC0415
    from wsikd.prepare import PrepareSettings, SlideTask, prepare_slide  # noqa: PLC0415
    from wsikd.pyramid.levels import PyramidSettings  # noqa: PLC0415
    from wsikd.slides import open_slide  # noqa: PLC0415
    from wsikd.store import RegionStore  # noqa: PLC0415

    draw_slides(folder / "slides", DrawSettings(slides=1, pieces=1, piece_mm=(0.6, 0.6)))
    (path,) = (folder / "slides").glob("*.svs")
    (folder / "regions").mkdir()
    settings = PrepareSettings(pyramid=PyramidSettings(magnifications=(_MAGNIFICATION,)))
    status = prepare_slide(SlideTask("drawn", path, None, None), folder / "regions", settings)
    if status.status == "failed":
        raise RuntimeError(status.error)
    store = RegionStore(folder / "regions")
    region = store.read_slide("drawn").regions[0]
    made = store.read_pixels("drawn", region.region_id, _MAGNIFICATION)
    with open_slide(path) as slide:
        whole = slide.read(Region(region.x, region.y, Size(region.width, region.height)))
    height, width = made.shape[:2]
    asked = Image.fromarray(whole).resize((width, height), Image.Resampling.LANCZOS)
    apart = int(np.abs(np.asarray(asked).astype(int) - made).max())
    return f"region of {width} x {height} px", apart
