"""Who answers a probe: encoders, and the controls that any encoder must be held against."""

import abc
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from wsikd.config import Settings
from wsikd.data.statistics import image_statistics
from wsikd.evaluation import ControlSettings
from wsikd.evaluation.metrics import Floats
from wsikd.geometry import magnification_to_mpp
from wsikd.hashing import file_digest
from wsikd.methods.controls import (
    colour_histogram,
    colour_probabilities,
    majority_probabilities,
)
from wsikd.models import Network
from wsikd.models.cost import count_macs
from wsikd.models.seeding import build_seeded
from wsikd.models.weights import ModelDescription, load_model, save_model
from wsikd.probing.classifiers import embed_patches, fit_linear, nearest_neighbours
from wsikd.probing.labelled_patches import ProbedPatches
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import RunFolder, run_name
from wsikd.training.device import choose_device, place
from wsikd.training.feeds.patches import Distortion, PatchView


class Contender(abc.ABC):
    """Gives class probabilities for patches after seeing the training patches.

    Attributes
    ----------
    patches : ProbedPatches
        What it is asked about.
    stem : str
        How the names of its runs begin.
    seed : int
        Which of several alike it is.
    is_control : bool
        Whether it is there to be held against.
    """

    seed: int = 0
    is_control: bool = True

    def __init__(self, patches: ProbedPatches, stem: str) -> None:
        self.patches, self.stem = patches, stem

    def inputs(self) -> dict[str, str]:
        """Give fingerprints of what it was made from, beside the patches."""
        return {}

    def how(self, asked: ProbeSettings) -> list[str]:  # noqa: ARG002
        """Give the parts of its runs' names that say how it answers."""
        return []

    @abc.abstractmethod
    def settings_of(self, asked: ProbeSettings) -> Settings:
        """Give the settings that matter to it."""

    @abc.abstractmethod
    def answer(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Floats:
        """Give probabilities of the patches, shape (patches, K); may leave a model in the run."""

    def gmacs(self) -> float:
        """Give the cost of reading a patch, in 10^9 multiply-accumulate operations."""
        return 0.0

    def forget(self) -> None:
        """Let go of what it has read, to make room for the next one."""
        for name in ("_histograms", "_loaded", "_known"):
            self.__dict__.pop(name, None)


class ShareSettings(ControlSettings):
    """What matters to a control without a network."""

    percent: float
    seed: int
    fold: int | None


class ColourControl(Contender):
    """Logistic regression on the colour histogram of a patch."""

    def __init__(self, patches: ProbedPatches) -> None:
        super().__init__(patches, f"control-colour-{patches.view}")

    def settings_of(self, asked: ProbeSettings) -> Settings:
        return ShareSettings(percent=asked.percent, seed=asked.seed, fold=asked.fold)

    def answer(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Floats:  # noqa: ARG002
        return colour_probabilities(dealt, self._histograms, self.patches.classes)

    @cached_property
    def _histograms(self) -> Floats:
        bins, pixels = ControlSettings().bins, self.patches.pixels
        return np.stack([colour_histogram(pixels[row], bins) for row in self.patches.rows])


class MajorityControl(ColourControl):
    """The frequencies of the classes among the training patches."""

    def __init__(self, patches: ProbedPatches) -> None:
        super().__init__(patches)
        self.stem = f"control-majority-{patches.view}"

    def answer(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Floats:  # noqa: ARG002
        return majority_probabilities(dealt, np.empty((len(dealt), 0)), self.patches.classes)


class FrozenEncoder(Contender):
    """An encoder that stays as it is, and a classifier on its embeddings.

    Parameters
    ----------
    patches : ProbedPatches
        What it reads; read once for all folds and shares.
    stem : str
        How the names of its runs begin.
    model : Path
        The encoder, and its description for mean and std. Classes that it knows are not asked for.
    seed : int
        That it was trained with.
    """

    is_control = False

    def __init__(self, patches: ProbedPatches, stem: str, model: Path, seed: int) -> None:
        super().__init__(patches, stem)
        self._model, self.seed = model, seed

    def inputs(self) -> dict[str, str]:
        return {"encoder": file_digest(self._model)}

    def how(self, asked: ProbeSettings) -> list[str]:
        return asked.how_of_all if self.is_control else asked.how

    def settings_of(self, asked: ProbeSettings) -> Settings:
        return asked

    def gmacs(self) -> float:
        return count_macs(self._loaded[0], self.patches.size) / 1e9

    def answer(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Floats:
        classes = self.patches.classes
        embeddings = self._embeddings(asked)
        train = torch.tensor(dealt["train"].tolist())
        labels = torch.tensor([classes.index(label) for label in dealt["label"]])[train]
        known = embeddings[train]
        if asked.classifier == "knn":
            return nearest_neighbours(known, labels, embeddings, len(classes), k=asked.k)
        rows = [int(row) for row in dealt.index[dealt["train"]]]
        epochs = self._varied(rows, asked) if asked.augmented else repeat(known, asked.epochs)
        layer = fit_linear(known, epochs, labels, len(classes), asked)
        self._save(layer, run)
        probabilities: Floats = layer(embeddings).softmax(1).double().numpy()
        return probabilities

    @cached_property
    def _loaded(self) -> tuple[Network, ModelDescription]:
        return load_model(self._model)

    def _embeddings(self, asked: ProbeSettings) -> Tensor:
        if not hasattr(self, "_known"):
            self._known = self._read(self.patches.rows, asked)
        return self._known

    def _varied(self, rows: Sequence[int], asked: ProbeSettings) -> Iterator[Tensor]:
        for epoch in range(1, asked.epochs + 1):
            yield self._read(rows, asked, epoch=epoch)

    def _read(
        self, rows: Sequence[int], asked: ProbeSettings, *, epoch: int | None = None
    ) -> Tensor:
        encoder, description = self._loaded
        device = choose_device(asked.device)
        view = PatchView(self.patches.pixels, description)
        distortion = Distortion(asked.distort, asked.seed)
        place(encoder, device)
        return embed_patches(encoder, view, rows, device, distortion=distortion, epoch=epoch)

    def _save(self, layer: nn.Linear, run: RunFolder) -> None:
        """Leave encoder and layer as one classifier."""
        encoder, description = self._loaded
        encoder.fc = layer
        magnification = self.patches.magnification
        reads = {
            "classes": self.patches.classes,
            "magnification": magnification,
            "mpp": magnification_to_mpp(magnification),
        }
        save_model(encoder, description.model_copy(update=reads), run.model_path())
        del encoder.fc


class RandomControl(FrozenEncoder):
    """A network of the same architecture, with the weights it has before any training."""

    is_control = True

    def __init__(self, patches: ProbedPatches, architecture: str, seed: int) -> None:
        stem = f"control-random-{architecture}-{patches.view}"
        super().__init__(patches, run_name(stem, seed=seed), Path(), seed)
        self._architecture = architecture

    def inputs(self) -> dict[str, str]:
        return {}

    @cached_property
    def _loaded(self) -> tuple[Network, ModelDescription]:
        encoder = build_seeded(self._architecture, 0, seed=self.seed)
        return encoder, describe_patches(self.patches, self._architecture)


def describe_patches(
    patches: ProbedPatches, architecture: str, rows: Sequence[int] | None = None
) -> ModelDescription:
    """Describe a model that reads the patches, with mean and std of these rows, or of all."""
    mean, std = image_statistics(
        patches.pixels[row] for row in (patches.rows if rows is None else rows)
    )
    return ModelDescription(
        architecture=architecture,
        classes=patches.classes,
        magnification=patches.magnification,
        mpp=magnification_to_mpp(patches.magnification),
        mean=mean,
        std=std,
    )
