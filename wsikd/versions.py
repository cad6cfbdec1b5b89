"""Which packages are installed in which versions, without importing them."""

import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from wsikd import __version__

SHOWN = ("torch", "zarr", "openslide-bin", "openslide-python", "tiffslide")
"""What decides pixels and weights; openslide-bin is OpenSlide itself, the other its binding."""


def installed_version(package: str) -> str | None:
    """Return the version of a distribution, None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed, and the system."""
    found = {package: installed_version(package) for package in packages}
    installed = {name: version for name, version in found.items() if version is not None}
    return {"python": platform.python_version(), "system": sys.platform} | installed


def versions_text(packages: Iterable[str] = SHOWN) -> str:
    """Write one line for wsikd, one for Python and one for each package.

    Examples
    --------
    >>> print(versions_text(["no-such-package"]).splitlines()[-1])
    no-such-package   not installed
    """
    found = {
        "wsikd": __version__,
        "python": f"{platform.python_version()} on {sys.platform}",
        **{name: installed_version(name) or "not installed" for name in packages},
    }
    return "\n".join(f"{name:<17} {value}" for name, value in found.items())
