"""The image without its colours: the example of a new pairing."""

import numpy as np

from wsikd.data.pairs.partner import DerivedPartner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.geometry import Pixels


class GreyPartner(DerivedPartner):
    """Makes the patch grey."""

    def __init__(self, settings: PairingSettings, source: PatchSource) -> None:  # noqa: ARG002
        super().__init__(source)

    def make(self, image: Pixels) -> Pixels:
        """Average the colours."""
        grey = image.mean(axis=2, keepdims=True).astype(np.uint8)
        return np.repeat(grey, 3, axis=2)
