"""Label-free nuclei segmentation by patch contrast.

"Efficient Self-Supervision using Patch-based Contrastive Learning" [1]_: a confidence network
computes a confidence per channel for every pixel; windows that a channel is sure of are called
positive or negative by chance; positive ones shall look alike and unlike the negative ones. The
paper calls training converged when positives are little separated from each other and far from
negatives, which its code does not test; here it is tested after every epoch. The code chooses epoch
and channel by labels; here the haematoxylin does, see `wsikd.nuclei.channel`.

References
----------
.. [1] Boserup, Selvan. "Efficient Self-Supervision using Patch-based Contrastive Learning for
       Histopathology Image Segmentation". 2023. arXiv:2208.10779.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from wsikd.data.fields.field import Field
from wsikd.data.fields.inputs import FieldInput
from wsikd.data.fields.open_files import OpenFiles
from wsikd.data.likeness import pixel_digest
from wsikd.data.patches.folders import REGION_ID, read_image
from wsikd.errors import SlideError
from wsikd.hashing import content_fingerprint, digest, source_fingerprint
from wsikd.methods.region_inputs import begin
from wsikd.nuclei.learn.contrast import Contrast
from wsikd.nuclei.learn.feed import CropFeed
from wsikd.nuclei.learn.inputs import refuse_small
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.learn.watch import Truths, Watch
from wsikd.runs import Provenance, RunFolder
from wsikd.training.determinism import deterministic
from wsikd.training.device import choose_device
from wsikd.training.display import Display
from wsikd.training.loop import Loop
from wsikd.training.trainee import Entry, Learner, Trainee


def segment(
    inputs: Sequence[FieldInput],
    fields: Sequence[Field],
    truths: Truths,
    runs: Path,
    settings: SegmentSettings,
) -> RunFolder:
    """Train a nuclei segmenter, without labels unless they are to choose the channel.

    Parameters
    ----------
    inputs : sequence of FieldInput
        The slides and images that the fields come from, and their patients.
    fields : sequence of Field
        What is learnt from.
    truths : mapping of str to callable
        Reads the true mask of a slide, by slide_id; asked only if labels select.
    runs : Path
        Folder of all runs; a run there that was stopped goes on, a finished one stays as it is.
    settings : SegmentSettings
        How.

    Returns
    -------
    RunFolder
        With the segmenter of the best epoch, and of the last.

    Raises
    ------
    SlideError
        If a field is smaller than a window.
    DivergedError
        If the loss is not finite, or windows are all positive or all negative.
    ResumeError
        If the run exists with other settings or inputs.
    BusyError
        If another process is training the run.
    StoppedError
        If a signal came; the same call goes on.
    """
    for field in fields:
        refuse_small(field, settings)
    run = _begin(inputs, fields, runs, settings)
    if not run.is_complete():
        told = settings.deterministic  # before the device is used
        with deterministic(asked=told), run.alone(), OpenFiles() as files:
            _train(run, [field.keeping(files) for field in fields], truths, settings)
    return run


def _train(
    run: RunFolder, fields: Sequence[Field], truths: Truths, settings: SegmentSettings
) -> None:
    device = choose_device(settings.device)
    contrast = Contrast(settings, device)
    watch = Watch(contrast, fields, truths, settings)
    learner = Learner(
        contrast.networks,
        contrast.step,
        keep=watch.keep,
        watch=watch,
        judge=partial(judge_epoch, settings=settings),
        has_converged=partial(has_converged, settings=settings),
    )
    feed = CropFeed(fields, settings, device)
    (seconds,) = Loop([Trainee(run, learner, settings)], feed, None).run()
    converged = has_converged(run.read_log(), settings=settings)
    for warning in watch.conclude(run, has_converged=converged):
        Display(run.name).say(warning)
    run.finish(seconds=seconds)


def _begin(
    inputs: Sequence[FieldInput], fields: Sequence[Field], runs: Path, settings: SegmentSettings
) -> RunFolder:
    """Make the folder of a run, with the patients it learns from, or take up the one there is."""
    known = fields[0].magnification
    hashes = {source: source_fingerprint(source) for source in {field.source for field in fields}}
    lines = [f"{field.name} {field.box} {field.size} {hashes[field.source]}" for field in fields]
    made = Provenance(
        name="segment",
        method="segment",
        magnification=known,
        classes=(),
        inputs={"fields": digest(lines)},
    )
    run = begin(runs, made, settings)
    if not run.is_complete():
        used = {field.slide_id: field.region_id for field in fields}
        learnt = [
            {
                "slide_id": one.slide_id,
                "patient_id": one.patient_id,
                "split": "train",
                "traced": "no" if one.store is None and one.patient_id == one.slide_id else "yes",
                "content": _content(one),
                "pixels": _pixels(one, used[one.slide_id]),
            }
            for one in inputs
            if one.slide_id in used
        ]
        run.write_learnt(pd.DataFrame(learnt))
    return run


def _content(one: FieldInput) -> str:
    """Hash the file of an input, so that it is known under another name, too."""
    if one.store is not None:
        return one.store.read_slide(one.slide_id).source.sha256
    return content_fingerprint(one.path) if one.path is not None and one.path.is_file() else ""


def _pixels(one: FieldInput, region_id: str) -> str:
    """Hash the pixels of a slide or picture, so that it is known in another file, too."""
    if one.store is not None:
        return one.store.read_digest(one.slide_id)
    if region_id != REGION_ID:
        return ""
    try:
        return pixel_digest(read_image(one.path)) if one.path is not None else ""
    except SlideError:  # a slide's reader opened it, and no picture's
        return ""


def judge_epoch(watched: Mapping[str, float], *, settings: SegmentSettings) -> float:
    """Compute how bad an epoch is: what its channel leaves of the stain unexplained.

    An epoch whose windows are not told apart is worse than any whose are: what parts the stain
    then is chance, as it is of an untrained network.

    Examples
    --------
    >>> told_apart, untrained = {"separation": 0.3, "unexplained": 0.6}, {"unexplained": 0.5}
    >>> [judge_epoch(each, settings=SegmentSettings()) for each in (told_apart, untrained)]
    [0.6, 1.5]
    """
    is_told_apart = watched.get("separation", math.inf) <= settings.separation
    return watched["unexplained"] + (not is_told_apart)


def has_converged(log: Sequence[Entry], *, settings: SegmentSettings) -> bool:
    """Tell whether windows are told apart, and no better than some epochs ago.

    Parameters
    ----------
    log : sequence of dict
        Lines of the run's log; what was watched has the "separation": how much positive windows
        differ among themselves, as a share of how much they differ from negative ones.
    settings : SegmentSettings
        Converged is: each of the last `patience` epochs has at most `separation`, and their mean
        is less than `settled` from that of as many epochs before them.

    Examples
    --------
    >>> log = [{"watched": {"separation": value}} for value in (0.9, 0.45, 0.4, 0.42, 0.42)]
    >>> [has_converged(log[:count], settings=SegmentSettings(patience=2)) for count in (4, 5)]
    [False, True]
    """
    values = [entry["watched"].get("separation", math.inf) for entry in log]
    count = settings.patience
    if len(values) < 2 * count:
        return False
    last, before = values[-count:], values[-2 * count : -count]
    change = abs(float(np.mean(last)) - float(np.mean(before)))
    return max(last) <= settings.separation and change < settings.settled
