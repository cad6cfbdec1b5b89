"""What a paired training trains, and its loss: two branches that agree, or a U-Net that predicts.

The losses of "More From Less" [1]_, of TriDeNT's three views, and of the paper's U-Net control.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

from typing import NamedTuple

from torch import Tensor

from wsikd.losses.gather import gather
from wsikd.losses.reconstruction import reconstruction_loss
from wsikd.losses.selfsupervised import OBJECTIVES, triple_loss
from wsikd.methods.pair_settings import PairSettings
from wsikd.models import build_model
from wsikd.models.branches import Branch, Branches
from wsikd.models.expander import Expander
from wsikd.models.network import Network
from wsikd.models.seeding import seeded
from wsikd.models.unet import UNet
from wsikd.runs import Branch as BranchName
from wsikd.training.batch import Batch
from wsikd.training.trainee import Step

_Views = dict[str, tuple[BranchName, int]]


class Approach(NamedTuple):
    """What is trained, the loss, and the views it asks for.

    Attributes
    ----------
    model : nn.Module
        With the encoders of both branches, or a U-Net.
    step : callable
        See `Learner`.
    views : dict of str to (str, int)
        Name of each view to the branch whose images it shows, and its stream of random numbers.
    """

    model: Branches | UNet
    step: Step
    views: _Views


def make_step(branches: Branches, settings: PairSettings) -> Step:
    """Return the loss that makes both branches agree on a pair."""
    objective = OBJECTIVES[settings.loss_name]

    def step(batch: Batch) -> dict[str, Tensor]:
        first = gather(branches.project("primary", batch["primary"].pixels))
        second = gather(branches.project("privileged", batch["privileged"].pixels))
        return objective(first, second)

    return step


def make_triple_step(branches: Branches, settings: PairSettings) -> Step:
    """Return the loss that makes two primary views and one privileged agree, all three pairs."""
    objective = OBJECTIVES[settings.loss_name]

    def step(batch: Batch) -> dict[str, Tensor]:
        first = gather(branches.project("primary", batch["primary"].pixels))
        second = gather(branches.project("primary", batch["second"].pixels))
        privileged = gather(branches.project("privileged", batch["privileged"].pixels))
        return triple_loss(objective, first, second, privileged)

    return step


def make_prediction_step(unet: UNet, settings: PairSettings) -> Step:
    """Return the loss of predicting the second image from the first, the control of table S5."""
    kind = settings.loss_name

    def step(batch: Batch) -> dict[str, Tensor]:
        predicted = unet(batch["primary"].pixels)
        return {kind: reconstruction_loss(predicted, batch["privileged"].pixels, kind)}

    return step


def build_approach(settings: PairSettings) -> Approach:
    """Build what the settings ask for, with first weights that depend on the seed alone."""
    with seeded(settings.seed):
        if settings.is_prediction:
            # flips, crop and rotation must be the same in the image and in what is predicted
            unet = UNet(build_model(settings.model, 0))
            aligned: _Views = {"primary": ("primary", 0), "privileged": ("privileged", 0)}
            return Approach(unet, make_prediction_step(unet, settings), aligned)
        first, second = (_build_branch(settings) for _ in range(2))
    branches = Branches(first, None if settings.shared else second)
    views: _Views = {"primary": ("primary", 0), "privileged": ("privileged", 1)}
    if settings.triple:
        views["second"] = ("primary", 2)
        return Approach(branches, make_triple_step(branches, settings), views)
    return Approach(branches, make_step(branches, settings), views)


def encoders_of(model: Branches | UNet) -> dict[BranchName, Network]:
    """Return the encoders by branch; a U-Net has the primary one alone."""
    if isinstance(model, UNet):
        return {"primary": model.encoder}
    return {"primary": model.primary.encoder, "privileged": model.privileged.encoder}


def _build_branch(settings: PairSettings) -> Branch:
    encoder = build_model(settings.model, 0)
    return Branch(encoder, Expander(encoder.embedding_width, settings.expander))
