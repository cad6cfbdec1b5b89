"""The image at a few pixels' resolution: the partner knows colours and layout, not detail.

The privileged input "downsampled to 7 x 7 px and back" of "More From Less" [1]_, which does not
name the kernel.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

from wsikd.data.pairs.partner import DerivedPartner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.errors import ConfigError
from wsikd.geometry import Pixels, Size
from wsikd.pyramid.resample import resample


class DownsamplePartner(DerivedPartner):
    """Brings the patch to a small size and back to its own.

    Raises
    ------
    ConfigError
        If the small size is not smaller.
    """

    def __init__(self, settings: PairingSettings, source: PatchSource) -> None:
        side = settings.downsample_to
        if side >= min(source.size):
            raise ConfigError(
                f"--downsample-to must be below the patches' {min(source.size)} px, got {side}"
            )
        super().__init__(source, f"{side} {settings.kernel}")
        self._small, self._kernel = Size(side, side), settings.kernel

    def make(self, image: Pixels) -> Pixels:
        """Blur the image by way of the small size."""
        return resample(resample(image, self._small, self._kernel), self.size, self._kernel)
