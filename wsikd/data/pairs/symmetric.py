"""The same image twice: what self-supervision without a second modality does."""

from pathlib import Path

from wsikd.data.pairs.partner import DerivedPartner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.geometry import Pixels


class SymmetricPartner(DerivedPartner):
    """Is the patch itself; only the augmentation tells the two apart."""

    def __init__(self, settings: PairingSettings, source: PatchSource) -> None:  # noqa: ARG002
        super().__init__(source)

    def make(self, image: Pixels) -> Pixels:
        """Return the image as it is."""
        return image

    def pack(self, cache: Path) -> Pixels:
        """Return the first images, which need no second copy on disk."""
        return self.source.pack(cache)
