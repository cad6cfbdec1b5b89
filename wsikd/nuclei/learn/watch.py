"""What is looked at after every epoch of a segmenter: separation, stain, and so the best epoch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from wsikd.data.fields.field import Field, balance
from wsikd.errors import ConfigError
from wsikd.geometry import Mpp, Size
from wsikd.models.weights import keep_model, save_model
from wsikd.nuclei.channel import Choice, choose_channel, haematoxylin
from wsikd.nuclei.learn.contrast import Contrast
from wsikd.nuclei.learn.crops import deal_crops, draw_crop
from wsikd.nuclei.learn.patch_contrast import separation
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.learn.windows import pixel_entropy
from wsikd.nuclei.network import lift
from wsikd.nuclei.weights import SegmenterDescription, load_segmenter
from wsikd.runs import RunFolder
from wsikd.training.checkpoints import Write

Truths = Mapping[str, Callable[[], NDArray[np.integer]]]
"""Reads the true nuclei of an image, (height, width), 0 the background; by slide_id."""

_WATCHED = 6  # crops, after every epoch
_CONCLUDED = 24  # crops, once at the end


class _Sample(NamedTuple):
    """Crops, what the channels are judged by, and µm per pixel."""

    images: list[Tensor]
    targets: list[NDArray[np.generic]]
    mpps: list[Mpp | None]


class Watch:
    """Judges the network after every epoch, on crops that stay the same.

    Parameters
    ----------
    contrast : Contrast
        What is trained.
    fields : sequence of Field
        What is learnt from.
    truths : mapping
        Read only if labels select.
    settings : SegmentSettings
        How crops are cut and windows drawn, and what selects.
    """

    def __init__(
        self,
        contrast: Contrast,
        fields: Sequence[Field],
        truths: Truths,
        settings: SegmentSettings,
    ) -> None:
        self._contrast, self._fields, self._truths = contrast, fields, truths
        self._settings = settings
        self._device = next(contrast.network.parameters()).device
        self._sample = self._draw(_WATCHED)
        self._chosen: tuple[Choice, bool | None] = (Choice(0, False, 0.5, 0.0), None)

    @torch.no_grad()
    def __call__(self, say: Callable[[str], None]) -> dict[str, float]:
        """Measure what the log holds: "separation", "unexplained", and means over pixels.

        There is no "separation" where no channel has both kinds of windows, and "unexplained" is 1
        less the score of the chosen channel, see `wsikd.nuclei.channel`.
        """
        del say
        network = self._contrast.network.eval()
        random = Generator().manual_seed(self._settings.seed)
        confidences, drawn = [], []
        for image in self._sample.images:
            confidence = network(image)
            drawn += self._contrast.drawing.draw(image, confidence, random)
            confidences.append(confidence[0].cpu())
        self._chosen = self._choose(self._sample, [each.numpy() for each in confidences])
        pixels = torch.cat([each.flatten() for each in confidences])
        measured = {
            "separation": separation(drawn),
            "unexplained": 1 - self._chosen[0].score,
            "confidence": float(pixels.mean()),
            "entropy": float(pixel_entropy(pixels).mean()),
        }
        return {name: value for name, value in measured.items() if math.isfinite(value)}

    def keep(self) -> Write:
        """Return what writes the segmenter as it is now, with the channel chosen last."""
        return keep_model(self._contrast.network, self._describe(*self._chosen))

    @torch.no_grad()
    def conclude(self, run: RunFolder, *, has_converged: bool) -> list[str]:
        """Choose the channel of the finished models anew, on more crops; return the warnings."""
        sample, warnings = self._draw(_CONCLUDED), []
        for checkpoint in ("last", "best"):
            path = run.model_path(checkpoint)
            network, _ = load_segmenter(path)
            network = network.to(self._device)
            confidences = [network(image)[0].cpu().numpy() for image in sample.images]
            choice, is_nuclear_sized = self._choose(sample, confidences)
            described = self._describe(choice, is_nuclear_sized, has_converged=has_converged)
            save_model(network, described, path)
        if not has_converged:
            warnings.append(
                f"has not converged within {self._settings.epochs} epochs: windows are not told "
                "apart steadily; look at the masks, raise --epochs, or try another --seed"
            )
        if is_nuclear_sized is False:
            warnings.append(
                "no channel finds objects as large as nuclei, 3 to 20 µm; see that --mpp is right, "
                "or try another --seed"
            )
        return warnings

    def _draw(self, count: int) -> _Sample:
        """Cut crops, of as many fields as there are."""
        random = np.random.default_rng((self._settings.seed, count))
        sample = _Sample([], [], [])
        for field in (self._fields[which] for which in deal_crops(self._fields, count, random)):
            side = self._settings.crop
            size = Size(min(side, field.size.width), min(side, field.size.height))
            pixels, (left, top) = draw_crop(field, size, random, glass=self._settings.max_glass)
            pixels = balance(pixels, field.light) if self._settings.balance else pixels
            image = lift(torch.from_numpy(pixels).to(self._device).permute(2, 0, 1)[None])
            sample.images.append(image)
            sample.mpps.append(field.mpp)
            if self._settings.select == "labels":
                truth = self._truth(field)[top : top + size.height, left : left + size.width]
                sample.targets.append(truth > 0)
            else:
                sample.targets.append(haematoxylin(pixels))
        return sample

    def _truth(self, field: Field) -> NDArray[np.integer]:
        truth = self._truths[field.slide_id]()
        if truth.shape != (field.size.height, field.size.width):
            raise ConfigError(
                f"{field.source}: --select labels needs --segment.mpp to be that of the images, "
                "whose labels cannot be resampled"
            )
        return truth

    def _choose(
        self, sample: _Sample, confidences: list[NDArray[np.float32]]
    ) -> tuple[Choice, bool | None]:
        labelled = self._settings.select == "labels"
        return choose_channel(confidences, sample.targets, sample.mpps, labelled=labelled)

    def _describe(
        self, choice: Choice, is_nuclear_sized: bool | None, *, has_converged: bool = False
    ) -> SegmenterDescription:
        known = self._fields[0].mpp is not None
        return SegmenterDescription(
            channels=self._settings.channels,
            mpp=self._settings.target_mpp if known else None,
            balanced=self._settings.balance,
            nuclei_channel=choice.channel,
            inverted=choice.inverted,
            threshold=choice.threshold,
            selected_by=self._settings.select,
            score=choice.score,
            is_nuclear_sized=is_nuclear_sized,
            has_converged=has_converged,
        )
