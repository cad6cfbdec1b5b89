"""Whether the packages that wsikd needs are there, in versions that work."""

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires

from wsikd.doctor.finding import Finding, State
from wsikd.versions import installed_version

SLIDES = "prepare, info, draw, demo and segment apply"
TRAINING = "teach, distil, finetune, pair, probe, segment, explain and cka"
NEEDED_FOR = {
    "captum": "explain",
    "distributed": "prepare and demo",
    "imagecodecs": SLIDES,
    "jinja2": "report",
    "matplotlib": "report, explain and cka",
    "ome-zarr-models": "check",
    "safetensors": TRAINING,
    "scikit-image": SLIDES,
    "scikit-learn": "probe and the colour control of evaluate",
    "scipy": "prepare, probe and segment",
    "shapely": SLIDES,
    "simplejpeg": f"{SLIDES}, and what reads JPEG pictures,",
    "tifffile": SLIDES,
    "torch": f"prepare, {TRAINING}",
    "zarr": f"prepare, {TRAINING}",
}
"""What does not run without a package; without any other nothing runs."""

READERS = ("openslide-bin", "openslide-python", "tiffslide")
"""Without one of these the slides are lost that it alone can read."""

_LOST_SLIDES = "slides that need it will not open"

_WITH_LANCZOS = "2.13"  # torch
_SAFE_OPENSLIDE = "4.0.1"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<least>[\d.]+)$")


def look_at_packages() -> Iterator[Finding]:
    """Hold what is installed against what wsikd asks for."""
    yield Finding(what="python", state="ok", found=f"{platform.python_version()} on {sys.platform}")
    try:
        wanted = requires("wsikd") or []
    except PackageNotFoundError:
        yield Finding(
            what="wsikd",
            state="note",
            found="runs from a folder and is not installed, so versions are not checked",
            remedy="pip install --no-deps it",
        )
        return
    yield from judge_packages(wanted)


def judge_packages(wanted: Iterable[str]) -> Iterator[Finding]:
    """Judge the installed version of each package by the least that is asked for.

    Parameters
    ----------
    wanted : iterable of str
        Requirements such as "torch>=2.9"; those of extras are passed over.
    """
    for requirement in wanted:
        match = _REQUIREMENT.match(requirement)
        if match is not None:
            name, least = match["name"], match["least"]
            yield judge_version(name, installed_version(name), least)


def judge_version(name: str, found: str | None, least: str) -> Finding:
    """Judge the version of a package, None if it is absent.

    Examples
    --------
    >>> print(judge_version("zarr", "3.0.8", "3.1.3"))
    wrong  zarr              3.0.8, must be at least 3.1.3; pip install 'zarr>=3.1.3'
    """
    remedy = f"pip install '{name}>={least}'"
    if found is None:
        is_optional = name in NEEDED_FOR or name in READERS
        state: State = "note" if is_optional else "wrong"
        return Finding(
            what=name, state=state, found=f"not installed: {_lost_without(name)}", remedy=remedy
        )
    if is_older(found, least):
        told = f"{found}, must be at least {least}"
        return Finding(what=name, state="wrong", found=told, remedy=remedy)
    if name == "torch" and is_older(found, _WITH_LANCZOS):
        return Finding(
            what=name,
            state="note",
            found=f"{found}, has no Lanczos kernel for bytes, so prepare takes Pillow's, slower",
            remedy=f"pip install 'torch>={_WITH_LANCZOS}'",
        )
    return Finding(what=name, state="ok", found=found)


def _lost_without(name: str) -> str:
    if name in READERS:
        return _LOST_SLIDES
    return f"{NEEDED_FOR[name]} will not run" if name in NEEDED_FOR else "nothing runs without it"


def look_at_openslide() -> Finding:
    """Load OpenSlide itself, which may be another than the package openslide-bin brings."""
    try:
        import openslide  # noqa: PLC0415
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())[:100]
        return Finding(
            what="OpenSlide",
            state="note",
            found=f"cannot be loaded ({reason}): {_LOST_SLIDES}",
            remedy="pip install openslide-bin openslide-python",
        )
    found: str = openslide.__library_version__
    if is_older(found, _SAFE_OPENSLIDE):
        return Finding(
            what="OpenSlide",
            state="wrong",
            found=f"{found}, a damaged or malicious slide can harm it",
            remedy="pip install 'openslide-bin>=4.0.1.2'",
        )
    return Finding(what="OpenSlide", state="ok", found=found)


def is_older(found: str, least: str) -> bool:
    """Compare two versions by their numbers; what follows a plus sign does not count.

    Examples
    --------
    >>> is_older("2.9.1+cu130", "2.13"), is_older("3.1", "3.1.0"), is_older("2.14.0rc1", "2.13")
    (True, False, False)
    """
    numbers = [
        [int(number) for number in re.findall(r"\d+", text.partition("+")[0])]
        for text in (found, least)
    ]
    longest = max(map(len, numbers))
    first, second = (each + [0] * (longest - len(each)) for each in numbers)
    return first < second
