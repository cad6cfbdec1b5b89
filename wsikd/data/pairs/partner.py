"""What a partner is: for every patch a second image of the same tissue."""

import abc
from pathlib import Path

from wsikd.data.patches import PatchSource
from wsikd.data.patches.pack import pack_view
from wsikd.geometry import Pixels, Size
from wsikd.hashing import digest


class Partner(abc.ABC):
    """The second images of a source's patches, in the order of its items.

    Parameters
    ----------
    source : PatchSource
        The first images.
    identity : sequence of str
        With the source's fingerprint, all that decides what `read` returns.

    Attributes
    ----------
    size : Size
        Of every image; the source's, unless the magnification differs.
    magnification : float
        Nominal.
    fingerprint : str
        Hash of what `read` returns.
    shows_more : bool
        Whether the second images show tissue that the first may not, as they are other files.
    """

    shows_more = False

    def __init__(
        self,
        source: PatchSource,
        *identity: str,
        size: Size | None = None,
        mag: float | None = None,
    ) -> None:
        self.source = source
        self.size = source.size if size is None else size
        self.magnification = source.magnification if mag is None else mag
        self.fingerprint = digest([type(self).__name__, source.fingerprint, *identity])

    @abc.abstractmethod
    def read(self, index: int) -> Pixels:
        """Return the second image of a patch, RGB, uint8 of shape (height, width, 3)."""

    def contents(self) -> list[str]:
        """Hash the file that each second image is from, as `slide.json` does; empty without one."""
        return [""] * len(self.source.items)

    def pack(self, cache: Path) -> Pixels:
        """Return all second images, decoded once and kept on disk.

        Returns
        -------
        ndarray of uint8, shape (patches, height, width, 3)
            Mapped from disk, read-only.
        """
        count = len(self.source.items)
        return pack_view("partners", self.fingerprint, self.read, count, self.size, cache)


class DerivedPartner(Partner):
    """A partner that is made of the first image alone."""

    @abc.abstractmethod
    def make(self, image: Pixels) -> Pixels:
        """Make the second image of the first; both uint8 of shape (height, width, 3)."""

    def read(self, index: int) -> Pixels:
        """Read the first image and make the second of it."""
        return self.make(self.source.read(index))

    def pack(self, cache: Path) -> Pixels:
        """Return all second images, made of the first ones as they are in the cache."""
        packed = self.source.pack(cache)
        name, count = "partners", len(packed)
        return pack_view(
            name, self.fingerprint, lambda i: self.make(packed[i]), count, self.size, cache
        )
