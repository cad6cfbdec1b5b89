"""Whether pixels come back from the codecs that slides are compressed with."""

from typing import Any

from wsikd.doctor.finding import Finding
from wsikd.doctor.packages import SLIDES

_MOST_LOST = 8  # of 255 by JPEG on a smooth picture


def look_at_codecs() -> Finding:
    """Compress and read back a small picture by each codec of imagecodecs."""
    try:
        import imagecodecs  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415
    except ImportError:
        return Finding(
            what="codecs",
            state="note",
            found=f"imagecodecs or numpy is not installed: {SLIDES} will not run",
            remedy="pip install imagecodecs numpy",
        )
    across = np.linspace(0, 255, 64, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(across[:, None], across, across[::-1]), axis=2)
    data = picture.tobytes()
    made = {
        "JPEG": lambda: imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(picture, level=95)),
        "JPEG 2000": lambda: imagecodecs.jpeg2k_decode(imagecodecs.jpeg2k_encode(picture, level=0)),
        "WebP": lambda: imagecodecs.webp_decode(imagecodecs.webp_encode(picture, lossless=True)),
        "LZW": lambda: _from_bytes(imagecodecs.lzw_decode(imagecodecs.lzw_encode(data)), np),
    }
    failed = [name for name, decode in made.items() if not _comes_back(picture, decode)]
    if failed:
        return Finding(
            what="codecs",
            state="wrong",
            found=f"{', '.join(failed)} cannot be read; slides compressed so will fail",
            remedy="pip install --force-reinstall imagecodecs",
        )
    return Finding(what="codecs", state="ok", found=", ".join(made))


def _comes_back(picture: Any, decode: Any) -> bool:
    try:
        back = decode()
    except (ImportError, OSError, RuntimeError, ValueError):  # not built in, or broken
        return False
    return bool(abs(back.reshape(picture.shape).astype(int) - picture).max() <= _MOST_LOST)


def _from_bytes(data: bytes | bytearray, np: Any) -> Any:
    return np.frombuffer(data, np.uint8)
