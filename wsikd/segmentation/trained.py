"""A trained segmenter: its network, and how its confidences show nuclei."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from wsikd.geometry import Mpp, Size
from wsikd.models.confidence import ConfidenceNetwork
from wsikd.segmentation.objects import Mask, ObjectSettings, mask_rows
from wsikd.segmentation.stream import stream_confidence
from wsikd.slides.reader import Pixels

Labels = Literal["none", "epoch and channel", "threshold"]
"""What was chosen by labels."""

Device = torch.device | str


@dataclass(frozen=True)
class Segmenter:
    """A trained network, and how its confidences show nuclei.

    Attributes
    ----------
    run : str
        Its name.
    network : ConfidenceNetwork
        In evaluation mode.
    channel : int
        Of the nuclei.
    inverted : bool
        Whether nuclei are where that channel is not confident.
    threshold : float
        Confidence above which a pixel is nucleus.
    mpp : float or None
        µm per pixel it was trained at; None if unknown.
    labels : {"none", "epoch and channel"}
        What was chosen by labels.
    learnt : DataFrame
        What it was trained on, as `RunFolder.read_learnt` gives it.
    """

    run: str
    network: ConfidenceNetwork
    channel: int
    inverted: bool
    threshold: float
    mpp: float | None
    labels: Labels
    learnt: pd.DataFrame

    def confidence(self, pixels: Pixels, device: Device = "cpu") -> NDArray[np.float32]:
        """Give the confidence that each pixel of an image is nucleus."""
        size = Size(pixels.shape[1], pixels.shape[0])
        rows = stream_confidence(self.network, [pixels], size, self.channel, device=device)
        found = np.concatenate(list(rows))
        return 1 - found if self.inverted else found

    def mask(
        self, confidence: NDArray[np.float32], objects: ObjectSettings, mpp: Mpp | None
    ) -> Mask:
        """Tell nuclei from the rest, smoothed as the settings ask for."""
        return np.concatenate(list(mask_rows([confidence], objects, self.threshold, mpp)))
