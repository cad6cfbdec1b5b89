"""The networks of a segmenter's training, and the paper's loss of a batch."""

import torch
from torch import Generator, Tensor, nn

from wsikd.models.seeding import seeded
from wsikd.nuclei.learn.drawing import Drawing
from wsikd.nuclei.learn.feed import draw_seed
from wsikd.nuclei.learn.patch_contrast import (
    SIMILARITIES,
    draw_anchors,
    patch_contrast_loss,
)
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.network import ConfidenceNetwork, FeatureNetwork
from wsikd.training.batch import Batch
from wsikd.training.device import place


class Contrast:
    """The networks that are trained, and the loss of a batch.

    Parameters
    ----------
    settings : SegmentSettings
        Channels, windows, similarity and weights.
    device : torch.device
        Where the networks are.
    """

    def __init__(self, settings: SegmentSettings, device: torch.device) -> None:
        self.settings, self.drawing = settings, Drawing(settings)
        with seeded(settings.seed):
            self.network = ConfidenceNetwork(settings.channels)
            self.networks = nn.ModuleDict({"confidence": self.network})
            if settings.similarity == "cosine":
                self.networks["features"] = FeatureNetwork()
        place(self.networks, device)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the terms of the loss; none if the windows do not suffice."""
        images, settings = batch["image"].pixels, self.settings
        random = Generator().manual_seed(draw_seed(settings.seed, batch))
        drawn = self.drawing.draw(images, self.network(images), random)
        if not self.drawing.suffices(drawn):
            return {}
        positives, negatives = zip(*map(self._compared, drawn), strict=True)
        terms = patch_contrast_loss(
            positives,
            negatives,
            SIMILARITIES[settings.similarity],
            draw_anchors([len(own) for own in positives], random, count=settings.anchors),
            temperature=settings.temperature,
            released_images=len(images) if settings.as_released else None,
        )
        weights = {"intra": 1.0, "inter": settings.inter}
        return {name: term * weights[name] for name, term in terms.items()}

    def _compared(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Compute what the similarity compares: the features of patches, or patches themselves."""
        if "features" not in self.networks:
            return pair
        positives, negatives = pair
        features = self.networks["features"](torch.cat(pair))
        return features[: len(positives)], features[-len(negatives) :]
