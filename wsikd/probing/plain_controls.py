"""Controls without a network: the most common class, and colour alone."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pandas as pd

from wsikd.config import Settings
from wsikd.evaluation import ControlSettings
from wsikd.evaluation.metrics import Floats
from wsikd.methods.controls import (
    Control,
    colour_histogram,
    colour_probabilities,
    majority_probabilities,
)
from wsikd.probing.candidates import Answer, Answering, Identity
from wsikd.probing.labelled_patches import LabelledPatches
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import RunFolder
from wsikd.training.distributed import is_first


class ShareSettings(ControlSettings):
    """What matters to a control without a network."""

    percent: float
    seed: int
    fold: int | None


class PlainControl:
    """A control without a network.

    Parameters
    ----------
    name : str
        Of the control.
    patches : LabelledPatches
        What it is asked about.
    control : Control
        Computes the probabilities, from labels and histograms.
    describe : callable
        Computes the histograms of all labelled patches, shape (patches, any); asked once.
    """

    def __init__(
        self,
        name: str,
        patches: LabelledPatches,
        control: Control,
        describe: Callable[[LabelledPatches], Floats],
    ) -> None:
        self.identity = Identity(f"{name}-{patches.view}")
        self._patches, self._control, self._describe = patches, control, describe

    def settings_of(self, asked: ProbeSettings) -> Settings:
        """Return what matters to it: the share, and nothing of how encoders are probed."""
        return ShareSettings(percent=asked.percent, seed=asked.seed, fold=asked.fold)

    def begin(self) -> Answering:
        """Return what answers; it keeps the histograms."""
        histograms = cache(partial(self._describe, self._patches))

        def answer(dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Answer | None:  # noqa: ARG001
            if not is_first():
                return None
            return Answer(self._control(dealt, histograms(), self._patches.classes), gmacs=0.0)

        return answer


def colour_control(patches: LabelledPatches) -> PlainControl:
    """Return logistic regression on the colour histogram of a patch."""
    return PlainControl("control-colour", patches, colour_probabilities, _histograms)


def majority_control(patches: LabelledPatches) -> PlainControl:
    """Return the frequencies of the classes among the training patches."""
    return PlainControl("control-majority", patches, majority_probabilities, _no_histograms)


def _histograms(patches: LabelledPatches) -> Floats:
    bins = ControlSettings().bins
    return np.stack([colour_histogram(patches.pixels[row], bins) for row in patches.rows])


def _no_histograms(patches: LabelledPatches) -> Floats:
    return np.empty((len(patches.rows), 0))
