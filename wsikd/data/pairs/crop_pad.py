"""The middle of the image on black: the partner knows the centre only, not its surroundings.

The privileged input "centre 112 px zero-padded to 224 px" of "More From Less" [1]_.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

import numpy as np

from wsikd.data.pairs.partner import DerivedPartner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.geometry import Pixels


class CropPadPartner(DerivedPartner):
    """Keeps the centre of a patch, padded with zeros to the patch's size."""

    def __init__(self, settings: PairingSettings, source: PatchSource) -> None:
        super().__init__(source, f"{settings.centre}")
        self._centre = settings.centre

    def make(self, image: Pixels) -> Pixels:
        """Blacken all but the centre."""
        return keep_centre(image, self._centre)


def keep_centre(image: Pixels, share: float) -> Pixels:
    """Blacken all but the centre of an image, shape (height, width, channels).

    Parameters
    ----------
    image : ndarray of uint8
        Any size; where the border is odd, it is a pixel wider to the right and below.
    share : float
        Of each side that is kept.

    Examples
    --------
    >>> keep_centre(np.ones((4, 4, 1), np.uint8), 0.5)[..., 0].tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    inside = tuple(
        slice((side - kept) // 2, (side - kept) // 2 + kept)
        for side in image.shape[:2]
        for kept in [max(1, round(side * share))]
    )
    padded = np.zeros_like(image)
    padded[inside] = image[inside]
    return padded
