"""Self-supervision by pairs: an encoder of routine images learns from what richer ones show.

Section 3 of "More From Less" [1]_: two branches, each an encoder and an expander, see two images
of the same tissue, and a joint-embedding loss makes them agree. Labels are not used. After the
training the expanders are discarded, and the primary encoder reads routine images alone.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from wsikd.data.augment.pairs import release_distortions
from wsikd.data.pairs import Shown
from wsikd.data.patches import PatchSource
from wsikd.data.statistics import image_statistics
from wsikd.geometry import Pixels, magnification_to_mpp
from wsikd.methods.collapse import watch_spread
from wsikd.methods.joint_embedding import Approach, build_approach, encoders_of
from wsikd.methods.pair_settings import PairSettings
from wsikd.methods.region_inputs import begin
from wsikd.methods.seen import seen_pairs
from wsikd.models.branches import Branches
from wsikd.models.unet import UNet
from wsikd.models.weights import ModelDescription, keep_model
from wsikd.runs import Branch as BranchName
from wsikd.runs import Provenance, RunFolder, branch_path
from wsikd.training.batch_norms import share_batch_norm
from wsikd.training.checkpoints import Write
from wsikd.training.determinism import deterministic
from wsikd.training.device import choose_device, place
from wsikd.training.display import Display
from wsikd.training.distributed import (
    first_alone,
    held_by_first,
    is_first,
    refuse_uneven,
)
from wsikd.training.feeds.patches import Distortion, PatchFeed, PatchView
from wsikd.training.loop import Loop
from wsikd.training.schedules import warm_up_cosine
from wsikd.training.trainee import Learner, Trainee


def pair(
    source: PatchSource,
    shown: Mapping[BranchName, Shown],
    cache: Path,
    runs: Path,
    settings: PairSettings,
) -> list[RunFolder]:
    """Train encoders on pairs of images of the same tissue, without labels.

    Inside `wsikd.training.distributed.joined` all processes that torchrun started train together.

    Parameters
    ----------
    source : PatchSource
        The patches.
    shown : mapping of str
        What the branches "primary" and "privileged" see of each, as `wsikd.data.pairs.open_views`
        finds it.
    cache : Path
        Folder of decoded patches, which all runs on the same patches share.
    runs : Path
        Folder of all runs; a run there that was stopped goes on, a finished one stays as it is.
    settings : PairSettings
        What to train, and how.

    Returns
    -------
    list of RunFolder
        One per fold if the patches have folds and only training patches are learnt from, else one.
        The model is the primary encoder, beside it is the privileged one.

    Raises
    ------
    ConfigError
        If a batch holds more than there is to learn from, or cannot be dealt to the processes.
    ResumeError
        If the run exists with other settings or inputs.
    DivergedError
        If the loss is not finite.
    BusyError
        If another process is training the run.
    StoppedError
        If a signal came; the same call goes on.
    """
    settings.check({branch: seen.size for branch, seen in shown.items()})
    refuse_uneven(settings.batch)
    folds = [settings.model_copy(update={"fold": fold}) for fold in settings.folds_of(source)]
    for one in folds:  # what cannot be is said before anything is decoded
        one.rows_of(source)
    with torch.device("meta"):
        build_approach(settings)
    images = {branch: seen.pack(cache) for branch, seen in shown.items()}
    tested = settings.learn_from == "all"
    seen = partial(seen_pairs, source, shown.values(), settings.partner, cache, tested=tested)
    made = []
    for one in folds:
        run = _begin(source, shown, seen, runs, one)
        made.append(_pair_fold(source, shown, images, run, one))
    return made


def _pair_fold(
    source: PatchSource,
    shown: Mapping[BranchName, Shown],
    images: Mapping[BranchName, Pixels],
    run: RunFolder,
    settings: PairSettings,
) -> RunFolder:
    if not run.is_complete():
        # before the device is used
        with deterministic(asked=settings.deterministic), held_by_first(run):
            seconds = _train(run, source, shown, images, settings)
            if is_first():
                run.finish(seconds=seconds)
    return run


def _train(
    run: RunFolder,
    source: PatchSource,
    shown: Mapping[BranchName, Shown],
    images: Mapping[BranchName, Pixels],
    settings: PairSettings,
) -> float:
    """Train to the end and return the seconds it took."""
    rows = settings.rows_of(source)
    approach = build_approach(settings)
    device = choose_device(settings.device)
    share_batch_norm(approach.model, device, Display(run.name).say)
    place(approach.model, device)
    reads = {
        branch: _describe(pixels, rows, shown[branch].magnification, settings)
        for branch, pixels in images.items()
    }
    distortions = release_distortions() if settings.compat else settings.distort
    feed = PatchFeed(
        _views(images, reads, approach, settings),
        rows,
        settings.batch,
        device,
        distortion=Distortion(distortions, settings.seed),
        name=source.name,
    )
    learner = Learner(
        approach.model,
        approach.step,
        keep=partial(_keep, approach.model, reads),
        schedule=partial(warm_up_cosine, warm_up=settings.warm_up_steps(len(rows))),
        limit_gradients=partial(_limit_gradients, settings),
        watch=partial(watch_spread, approach, feed),
    )
    (seconds,) = Loop([Trainee(run, learner, settings)], feed, None).run()
    return seconds


def _begin(
    source: PatchSource,
    shown: Mapping[BranchName, Shown],
    seen: Callable[[list[int]], pd.DataFrame],
    runs: Path,
    settings: PairSettings,
) -> RunFolder:
    """Make the folder of a run, with what it learns from, or take up the one that is there."""
    rows = settings.rows_of(source)
    made = Provenance(
        name=settings.stem,
        method="pair",
        magnification=shown["primary"].magnification,
        classes=(),
        inputs={
            **{branch: seen.fingerprint for branch, seen in shown.items()},
            "chosen": settings.digest(source, rows),
        },
    )
    with first_alone():
        run = begin(runs, made, settings)
    if is_first() and not run.is_complete():
        run.write_learnt(seen(rows))
    return run


def _views(
    images: Mapping[BranchName, Pixels],
    reads: Mapping[BranchName, ModelDescription],
    approach: Approach,
    settings: PairSettings,
) -> dict[str, PatchView]:
    return {
        name: PatchView(
            images[branch],
            _seen_as(branch, reads, settings),
            stream,
            only_moved=settings.is_prediction and branch == "privileged",
        )
        for name, (branch, stream) in approach.views.items()
    }


def _keep(model: Branches | UNet, reads: Mapping[BranchName, ModelDescription]) -> Write:
    """Return what writes the encoders: the primary as the run's model, the other beside it."""
    kept = {
        branch: keep_model(encoder, reads[branch]) for branch, encoder in encoders_of(model).items()
    }

    def write(path: Path) -> None:
        for branch, write_encoder in kept.items():
            write_encoder(path if branch == "primary" else branch_path(path, "privileged"))

    return write


def _describe(
    pixels: Pixels, rows: list[int], magnification: float, settings: PairSettings
) -> ModelDescription:
    if settings.compat:  # the published code feeds 0 to 255 as they are
        mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    else:
        mean, std = image_statistics(pixels[row] for row in rows)
    return ModelDescription(
        architecture=settings.model,
        classes=(),
        magnification=magnification,
        mpp=magnification_to_mpp(magnification),
        mean=mean,
        std=std,
    )


def _seen_as(
    branch: BranchName, reads: Mapping[BranchName, ModelDescription], settings: PairSettings
) -> ModelDescription:
    """Return how a view is standardised; what a U-Net predicts stays in 0 to 1."""
    if settings.is_prediction and branch == "privileged":
        plain = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
        return reads[branch].model_copy(update=plain)
    return reads[branch]


def _limit_gradients(settings: PairSettings, parameters: Iterable[nn.Parameter]) -> None:
    """Limit each parameter's gradient to length 1 if what is published is asked for.

    The published loss is the sum over the batch and ours is the mean, hence the division.
    """
    for parameter in parameters if settings.compat else ():
        if parameter.grad is not None:
            nn.utils.clip_grad_norm_([parameter], 1.0 / settings.batch)
