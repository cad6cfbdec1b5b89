"""The control of "More From Less": the same network, trained end to end from labels.

With the augmentation, epochs, batch and learning rate of the paired training it is held against.
"""

from functools import partial
from typing import Any

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from wsikd.config import Settings
from wsikd.data.augment.pairs import DistortSettings, release_distortions
from wsikd.methods.pair_settings import PairSettings
from wsikd.methods.teach import make_step
from wsikd.models import ModelName
from wsikd.models.cost import count_macs
from wsikd.models.seeding import build_seeded
from wsikd.models.weights import keep_model, load_model
from wsikd.probing.candidates import Answer, Answering, Identity
from wsikd.probing.classifiers import read_shared
from wsikd.probing.labelled_patches import LabelledPatches, describe_patches
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import RunFolder, run_name
from wsikd.training.batch_norms import refuse_batch_norm
from wsikd.training.device import choose_device, place
from wsikd.training.distributed import is_first
from wsikd.training.feeds.patches import Distortion, PatchFeed, PatchView
from wsikd.training.loop import Loop
from wsikd.training.schedules import warm_up_cosine
from wsikd.training.settings import FoldSettings
from wsikd.training.trainee import Learner, Trainee

_BATCH = 256  # patches that are read at a time when nothing is learnt
_UNLABELLED = -1


class SuperviseSettings(FoldSettings):
    """How a network is trained from the labels of patches."""

    model: ModelName = Field(description="architecture")
    batch: int = Field(128, ge=1, description="patches in a step, or all there are if fewer")
    warmup_epochs: float = Field(0.1, ge=0, description="epochs in which the learning rate rises")
    distort: DistortSettings = DistortSettings()
    fractions: tuple[float, ...] = Field((100.0,), description="of the training patches, in %")

    @property
    def items_per_step(self) -> int:
        return self.batch

    @classmethod
    def like(cls, paired: PairSettings) -> "SuperviseSettings":
        """Take over what a paired training was told."""
        shared: dict[str, Any] = {
            name: getattr(paired, name)
            for name in cls.model_fields.keys() & PairSettings.model_fields.keys()
        }
        if paired.compat:
            shared["distort"] = release_distortions()
        return cls(**shared | {"fold": None, "name": None})


class SupervisedControl:
    """A network trained end to end from the labels.

    Parameters
    ----------
    patches : LabelledPatches
        What it learns from and is tested on.
    settings : SuperviseSettings
        How it is trained, but for the fold and the share.
    """

    def __init__(self, patches: LabelledPatches, settings: SuperviseSettings) -> None:
        stem = f"control-supervised-{settings.model}-{settings.epochs}epochs-{patches.view}"
        self.identity = Identity(run_name(stem, seed=settings.seed), seed=settings.seed)
        self._patches, self._settings = patches, settings

    def settings_of(self, asked: ProbeSettings) -> Settings:
        """Return how it is trained, on that fold and share."""
        names = ("fold", "fractions", "device", "deterministic")
        told = {name: getattr(asked, name) for name in names}
        return self._settings.model_copy(update=told)

    def begin(self) -> Answering:
        """Return what answers; it keeps nothing, as each run is a network of its own."""
        return self._answer

    def _answer(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Answer | None:
        patches, device = self._patches, choose_device(asked.device)
        supervise(run, patches, dealt, self._settings, device)
        model, description = load_model(run.model_path())
        gmacs = count_macs(model, patches.size) / 1e9
        place(model, device)
        feed = PatchFeed(
            {"image": PatchView(patches.pixels, description)}, patches.rows, _BATCH, device
        )
        model.eval()
        with torch.no_grad():
            logits = read_shared(feed, lambda batch: model(batch["image"]).logits)
        if not is_first():
            return None
        return Answer(logits.softmax(1).double().numpy(), gmacs)


def supervise(
    run: RunFolder,
    patches: LabelledPatches,
    dealt: pd.DataFrame,
    settings: SuperviseSettings,
    device: torch.device,
) -> None:
    """Train a network by cross-entropy on patches.

    Parameters
    ----------
    run : RunFolder
        Gets the model, the log and the state, and goes on where a stopped call left it.
    patches : LabelledPatches
        The pixels and the classes.
    dealt : DataFrame
        From `patches.deal`: which are learnt from.
    settings : SuperviseSettings
        How to train.
    device : torch.device
        Where to.
    """
    rows = [int(row) for row in dealt.index[dealt["train"]]]
    settings = settings.model_copy(update={"batch": min(settings.batch, len(rows))})
    description = describe_patches(patches, settings.model, rows)
    model = build_seeded(settings.model, len(patches.classes), seed=settings.seed)
    refuse_batch_norm(model, f"the supervised control ({settings.model})")
    feed = PatchFeed(
        {"image": PatchView(patches.pixels, description)},
        rows,
        settings.batch,
        device,
        distortion=Distortion(settings.distort, settings.seed),
        labels=_labels(patches, dealt),
    )
    learner = Learner(
        model,
        make_step(place(model, device)),
        keep=partial(keep_model, model, description),
        schedule=partial(
            warm_up_cosine, warm_up=int(settings.warmup_epochs * (len(rows) // settings.batch))
        ),
    )
    Loop([Trainee(run, learner, settings)], feed, None).run()


def _labels(patches: LabelledPatches, dealt: pd.DataFrame) -> Tensor:
    """Return the class index of each row of the pixels."""
    labels = torch.full((len(patches.pixels),), _UNLABELLED)
    labels[list(dealt.index)] = torch.tensor(
        [patches.classes.index(label) for label in dealt["label"]]
    )
    return labels
