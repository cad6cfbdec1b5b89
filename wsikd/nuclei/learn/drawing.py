"""Which windows of a batch are learnt from: drawn until every channel has both kinds, if it can.

The published code draws once, and passes over a batch if any channel lacks positive or negative
windows. Here windows are drawn again, and then the channel is left out.
"""

from torch import Generator, Tensor

from wsikd.errors import DivergedError
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.learn.stain_light import haematoxylin_light
from wsikd.nuclei.learn.windows import Windows, cut_patches, draw_windows
from wsikd.nuclei.network import lift_share, lower

Drawn = list[tuple[Tensor, Tensor]]
"""Positive and negative patches of each channel that has both, shapes (P, C, s, s), (Q, C, s, s)"""

_DRAWS = 5
_VAIN_BATCHES = 20  # one after the other without a positive or a negative, then training ends


class Drawing:
    """Draws windows, and decides which of them, and which batches, are learnt from.

    Parameters
    ----------
    settings : SegmentSettings
        Size and number of windows, what of the image they show, and whether as published.
    """

    def __init__(self, settings: SegmentSettings) -> None:
        self._settings = settings
        released = settings.as_released
        self._draws = 1 if released else _DRAWS
        self._least_positives = 1 if released else 2  # there an anchor is its own positive
        self._least_channels = settings.channels if released else 1
        self._vain = 0

    def draw(self, images: Tensor, confidence: Tensor, random: Generator) -> Drawn:
        """Draw windows, anew while a channel lacks positives or negatives.

        Parameters
        ----------
        images : Tensor, shape (B, 3, h, w)
            From `wsikd.nuclei.network.lift`.
        confidence : Tensor, shape (B, K, h, w)
            Of the network; windows are weighted by it.
        random : Generator
            Decides the windows.

        Returns
        -------
        list of pairs of Tensor
            Channels that still lack either are left out.
        """
        windows, usable = self._draw_usable(confidence, random)
        seen = images
        if self._settings.compare == "haematoxylin":
            seen = lift_share(haematoxylin_light(lower(images)))
        patches = cut_patches(seen, confidence, windows, self._settings.window)
        return [
            (patches[channel, positive], patches[channel, ~positive])
            for channel, positive in enumerate(windows.positive.to(patches.device))
            if usable[channel]
        ]

    def suffices(self, drawn: Drawn) -> bool:
        """Tell whether a batch is learnt from.

        Raises
        ------
        DivergedError
            If too many batches in a row were not.
        """
        if len(drawn) >= self._least_channels:
            self._vain = 0
            return True
        self._vain += 1
        if self._vain == _VAIN_BATCHES:
            raise DivergedError(
                f"windows must be positive and negative in some channel, are not in "
                f"{_VAIN_BATCHES} batches in a row; lower --learning-rate, or raise --windows"
            )
        return False

    def _draw_usable(self, confidence: Tensor, random: Generator) -> tuple[Windows, Tensor]:
        """Draw until all channels are usable, or too often; also tell which channels are."""
        settings = self._settings
        for _ in range(self._draws):
            windows = draw_windows(
                confidence,
                random,
                side=settings.window,
                stride=settings.stride,
                count=settings.windows,
                as_released=settings.as_released,
            )
            counts = windows.positive.sum(1)
            usable = (counts >= self._least_positives) & (counts < windows.positive.shape[1])
            if usable.all():
                break
        return windows, usable
