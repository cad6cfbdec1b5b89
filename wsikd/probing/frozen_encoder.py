"""Frozen encoders, of runs or of random weights, with a classifier on their embeddings."""

import copy
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from itertools import repeat
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from wsikd.config import Settings
from wsikd.geometry import magnification_to_mpp
from wsikd.hashing import file_digest
from wsikd.models import Network
from wsikd.models.cost import count_macs
from wsikd.models.seeding import build_seeded
from wsikd.models.weights import ModelDescription, load_encoder, save_model
from wsikd.probing.candidates import Answer, Answering, Identity
from wsikd.probing.classifiers import embed_patches, fit_linear, nearest_neighbours
from wsikd.probing.labelled_patches import LabelledPatches, describe_patches
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import RunFolder, run_name
from wsikd.training.device import choose_device, place
from wsikd.training.distributed import is_first
from wsikd.training.feeds.patches import Distortion, PatchView

Describe = Callable[[tuple[int, ...]], ModelDescription]
Load = Callable[[], tuple[Network, Describe]]


class FrozenEncoder:
    """An encoder that stays as it is, and a classifier on its embeddings.

    Parameters
    ----------
    identity : Identity
        Under which it takes part.
    patches : LabelledPatches
        What it reads; read once for all folds and shares that it reads with one mean and std.
    load : callable
        Returns the encoder, without classes, and what describes it for mean and std, given the
        rows of a fold's training patches.
    """

    def __init__(self, identity: Identity, patches: LabelledPatches, load: Load) -> None:
        self.identity, self._patches, self._load = identity, patches, load

    def settings_of(self, asked: ProbeSettings) -> Settings:
        """Return all: it is what is probed."""
        return asked

    def begin(self) -> Answering:
        """Return what answers; it keeps the encoder and the embeddings."""
        return _Reading(self._patches, self._load).answer


def trained_encoder(
    patches: LabelledPatches, stem: str, model: Path, seed: int, settings: ProbeSettings
) -> FrozenEncoder:
    """Return the encoder of a run.

    Parameters
    ----------
    patches : LabelledPatches
        What it reads.
    stem : str
        How the names of its runs begin.
    model : Path
        Its weights, with their description beside them.
    seed : int
        That it was trained with.
    settings : ProbeSettings
        How it is probed.
    """
    inputs = {"encoder": file_digest(model)}
    identity = Identity(stem, tuple(settings.how), seed, is_control=False, inputs=inputs)

    def load() -> tuple[Network, Describe]:
        encoder, description = load_encoder(model)
        return encoder, lambda _: description

    return FrozenEncoder(identity, patches, load)


def random_control(
    patches: LabelledPatches, architecture: str, seed: int, settings: ProbeSettings
) -> FrozenEncoder:
    """Return a network of that architecture with the weights it has before any training.

    Nor has it learnt how to standardise: the training patches of each fold decide that.
    """
    stem = run_name(f"control-random-{architecture}-{patches.view}", seed=seed)

    def load() -> tuple[Network, Describe]:
        encoder = build_seeded(architecture, 0, seed=seed)
        return encoder, partial(describe_patches, patches, architecture)

    return FrozenEncoder(Identity(stem, tuple(settings.how_of_all), seed), patches, load)


class _Reading:
    """Reads patches with an encoder: all of them once, and varied ones as often as it is asked."""

    def __init__(self, patches: LabelledPatches, load: Load) -> None:
        self._patches, self._load = patches, load
        self._embedded: tuple[ModelDescription, Tensor] | None = None

    def answer(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Answer | None:
        classes = self._patches.classes
        description = self._describe(_rows_where(dealt, dealt["split"] == "train"))
        embeddings = self._embed(description, asked)
        rows = _rows_where(dealt, dealt["train"])
        varied = (
            self._read(rows, description, asked, epoch=epoch)
            for epoch in range(1, asked.epochs + 1)
        )
        if not is_first():
            for _ in varied if asked.augmented and asked.classifier == "linear" else ():
                pass  # the first asks for as many
            return None
        train = torch.tensor(dealt["train"].tolist())
        labels = torch.tensor([classes.index(label) for label in dealt["label"]])[train]
        known = embeddings[train]
        if asked.classifier == "knn":
            votes = nearest_neighbours(known, labels, embeddings, len(classes), k=asked.k)
            return Answer(votes, self._gmacs)
        epochs = varied if asked.augmented else repeat(known, asked.epochs)
        layer = fit_linear(known, epochs, labels, len(classes), asked)
        self._save(layer, description, run)
        return Answer(layer(embeddings).softmax(1).double().numpy(), self._gmacs)

    @cached_property
    def _loaded(self) -> tuple[Network, Describe]:
        encoder, describe = self._load()
        return encoder, lru_cache(maxsize=1)(describe)

    def _describe(self, rows: tuple[int, ...]) -> ModelDescription:
        return self._loaded[1](rows)

    @property
    def _gmacs(self) -> float:
        return count_macs(self._loaded[0], self._patches.size) / 1e9

    def _embed(self, description: ModelDescription, asked: ProbeSettings) -> Tensor:
        """Return the embeddings of all patches; the last ones are kept, as folds come in turn."""
        if self._embedded is None or self._embedded[0] != description:
            self._embedded = description, self._read(self._patches.rows, description, asked)
        return self._embedded[1]

    def _read(
        self,
        rows: Sequence[int],
        description: ModelDescription,
        asked: ProbeSettings,
        *,
        epoch: int | None = None,
    ) -> Tensor:
        encoder, device = self._loaded[0], choose_device(asked.device)
        view = PatchView(self._patches.pixels, description)
        distortion = Distortion(asked.distort, asked.seed)
        place(encoder, device)
        return embed_patches(encoder, view, rows, device, distortion=distortion, epoch=epoch)

    def _save(self, layer: nn.Linear, description: ModelDescription, run: RunFolder) -> None:
        """Write encoder and layer as one classifier."""
        classifier = copy.deepcopy(self._loaded[0])
        classifier.fc = layer
        magnification = self._patches.magnification
        reads = {
            "classes": self._patches.classes,
            "magnification": magnification,
            "mpp": magnification_to_mpp(magnification),
        }
        save_model(classifier, description.model_copy(update=reads), run.model_path())


def _rows_where(dealt: pd.DataFrame, chosen: "pd.Series[bool]") -> tuple[int, ...]:
    return tuple(int(row) for row in dealt.index[chosen])
