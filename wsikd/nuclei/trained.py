"""A trained segmenter: its network, and how its confidences show nuclei."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from wsikd.data.fields.field import Colour, balance
from wsikd.errors import CheckpointError
from wsikd.geometry import Mpp, Pixels, Size
from wsikd.nuclei.channel import haematoxylin, stain_threshold
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.objects import Mask, ObjectSettings, mask_rows
from wsikd.nuclei.stream import stream_confidence
from wsikd.nuclei.weights import load_segmenter
from wsikd.runs import Checkpoint, RunFolder

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
        What it was trained on, as `RunFolder.read_learnt` returns it.
    balanced : bool
        Whether it reads colours divided by those of unstained light.
    """

    run: str
    network: ConfidenceNetwork
    channel: int
    inverted: bool
    threshold: float
    mpp: float | None
    labels: Labels
    learnt: pd.DataFrame
    balanced: bool = False

    def confidence_rows(
        self, strips: Iterable[Pixels], size: Size, light: Colour, device: Device = "cpu"
    ) -> Iterator[NDArray[np.float32]]:
        """Compute the confidence that pixels are nucleus, in rows from the top.

        Parameters
        ----------
        strips : iterable of ndarray of uint8, shape (rows, width, 3)
            As they are read, from the top.
        size : Size
            Of all strips together.
        light : tuple of float
            Colour of unstained light on the slide.
        device : torch.device or str
            Where the network is computed.

        Yields
        ------
        ndarray of float32, shape (rows, width)
        """
        seen = (balance(strip, light) for strip in strips) if self.balanced else strips
        rows = stream_confidence(self.network, seen, size, self.channel, device=device)
        return (1 - part for part in rows) if self.inverted else rows

    def confidence(
        self, pixels: Pixels, light: Colour, device: Device = "cpu"
    ) -> NDArray[np.float32]:
        """Compute the confidence that each pixel of an image is nucleus."""
        size = Size(pixels.shape[1], pixels.shape[0])
        return np.concatenate(list(self.confidence_rows([pixels], size, light, device)))

    def adapted(self, images: Sequence[Pixels], light: Colour, device: Device = "cpu") -> Self:
        """Return the segmenter with the threshold that suits the stain of a slide.

        Parameters
        ----------
        images : sequence of ndarray of uint8, shape (h, w, 3)
            Of one slide.
        light : tuple of float
            Colour of unstained light on it.
        device : torch.device or str
            Where the network is computed.
        """
        confidences = [self.confidence(pixels, light, device) for pixels in images]
        stains = [
            haematoxylin(balance(pixels, light) if self.balanced else pixels) for pixels in images
        ]
        threshold = stain_threshold(confidences, stains)
        return self if threshold is None else replace(self, threshold=threshold)

    def mask(
        self, confidence: NDArray[np.float32], objects: ObjectSettings, mpp: Mpp | None
    ) -> Mask:
        """Tell nuclei from the rest, smoothed as the settings ask for."""
        return np.concatenate(list(mask_rows([confidence], objects, self.threshold, mpp)))


def open_segmenter(run: RunFolder, checkpoint: Checkpoint = "best") -> Segmenter:
    """Read the segmenter of a finished run.

    Raises
    ------
    CheckpointError
        If the run is missing, not finished, or no segmenter's.
    """
    if not run.exists():
        raise CheckpointError(f"{run.path}: no such run; train it by wsikd segment train")
    made = run.read_provenance()
    if not made.kind.has_segmenter:
        raise CheckpointError(
            f"{run.path}: must be a run of wsikd segment train, is a {made.method}"
        )
    if not run.is_complete():
        raise CheckpointError(f"{run.path}: is not finished; run wsikd segment train again")
    network, about = load_segmenter(run.model_path(checkpoint))
    return Segmenter(
        run.name,
        network,
        about.nuclei_channel,
        about.inverted,
        about.threshold,
        about.mpp,
        "epoch and channel" if about.selected_by == "labels" else "none",
        run.read_learnt(),
        about.balanced,
    )
