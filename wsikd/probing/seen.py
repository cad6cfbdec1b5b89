"""Whether tested patches were seen before: by the classifier in training, or by its encoder.

An encoder that learnt without labels from what is tested is told of if it, or the run that it is
from, was asked to by `--learn-from all`; that, and any label, it may not have from there otherwise.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from wsikd.data.likeness import find_alike
from wsikd.errors import LeakageError
from wsikd.methods.seen import find_strangers
from wsikd.probing.labelled_patches import LabelledPatches
from wsikd.runs import RunFolder
from wsikd.runs.learnt import Seen, find_seen, learnt_from

Fold = int | None


def refuse_shared(patches: LabelledPatches, folds: Sequence[Fold]) -> Iterator[str]:
    """Refuse patches that are in training and tested; yield how many nearly are.

    Raises
    ------
    LeakageError
        If two have equal pixels.
    """
    for fold in folds:
        dealt = patches.deal(fold, 100, 0)
        seen = patches.seen.loc[dealt.index]
        is_tested = dealt["split"] == "test"
        tested, rest = seen[is_tested], seen[~is_tested]
        both = set(tested["pixels"]) & set(rest["pixels"]) - {""}
        for pixels in sorted(both):
            first, second = (part.loc[part["pixels"] == pixels].index[0] for part in (tested, rest))
            raise LeakageError(
                f"{patches.origin}: {patches.name_of(first)} is tested and has the pixels of "
                f"{patches.name_of(second)}, which is not; take one out, or put both in one split"
            )
        alike = list(find_alike(list(rest["perceptual"]), list(tested["perceptual"])))
        if alike:
            near, asked = rest.index[alike[0][0]], tested.index[alike[0][1]]
            yield (
                f"{len(alike)} of the {len(tested)} tested patches of {patches.name} look much "
                f"like patches that are not tested, the first is {patches.name_of(asked)}, like "
                f"{patches.name_of(near)}"
            )


def compare_seen(
    run: RunFolder, stem: str, patches: LabelledPatches, folds: Sequence[Fold]
) -> Iterator[str]:
    """Refuse an encoder that has seen tested patches, or yield that it has as it was asked to.

    Parameters
    ----------
    run : RunFolder
        Holds the encoder.
    stem : str
        What its probes are called.
    patches : LabelledPatches
        What it is probed on.
    folds : sequence of int or None
        The folds that are tested.

    Raises
    ------
    LeakageError
        If labels of what is tested were learnt from, or it was seen without its label by a run
        that was to leave what is tested alone.
    """
    made = run.read_provenance()
    if not run.has_learnt() and made.kind.follows_splits:
        return  # of an older version; the splits of the manifest were compared
    learnt, tested = learnt_from(run.read_learnt()), _tested(patches, folds)
    is_older = (learnt["traced"] == "").all()
    if is_older:  # names are all there is
        tested = tested.assign(traced="")
    for found in _find(learnt[learnt["label"] != ""], tested, patches):
        raise LeakageError(
            f"{run.path}: has seen {found}, with its label, which it would be tested on; probe "
            "each fold's run on that fold, or other patches"
        )
    unlabelled = learnt[learnt["label"] == ""]
    strange = unlabelled[~_asked(run, unlabelled)]
    for found in () if is_older else _find(strange, tested, patches):
        raise LeakageError(
            f"{run.path}: has seen {found}, which it would be tested on; train it on the training "
            "patches alone, or with --learn-from all if it is to see the tested ones, too"
        )
    seen = {one.tested["patient_id"] for one in _find(unlabelled, tested, patches)}
    unknown = find_strangers(run, learnt)["slide_id"].nunique()
    yield from _notes(stem, learnt, tested, seen, unknown)


def _asked(run: RunFolder, learnt: pd.DataFrame) -> "pd.Series[bool]":
    """Return what was to be learnt from without its labels even if it is tested.

    Auxiliary slides are; and what a run learnt with `--learn-from all`, which those of older
    versions have in their settings alone.
    """
    asked = (learnt["asked"] == "yes") | (learnt["split"] == "auxiliary")
    if run.read_settings().get("learn_from") == "all":
        asked |= learnt["via"] == ""
    return asked


def _find(learnt: pd.DataFrame, tested: pd.DataFrame, patches: LabelledPatches) -> Iterator[Seen]:
    """Yield what was seen; a slide whose patches a table gives to several patients is parted."""
    by_slide = patches.seen.groupby("slide_id")["patient_id"].nunique()
    parted = set(by_slide.index[by_slide > 1])
    for found in find_seen(learnt, tested):
        slide_id = found.learnt["slide_id"]
        is_part = slide_id in parted and slide_id == found.tested["slide_id"]
        if not (is_part and found.column in ("content", "slide_id")):
            yield found


def _tested(patches: LabelledPatches, folds: Sequence[Fold]) -> pd.DataFrame:
    rows = set[int]()
    for fold in folds:
        dealt = patches.deal(fold, 100, 0)
        rows.update(dealt.index[dealt["split"] == "test"])
    return patches.seen.loc[sorted(rows)].assign(split="test")


def _notes(
    stem: str,
    learnt: pd.DataFrame,
    tested: pd.DataFrame,
    patients: set[str],
    unknown: int,
) -> Iterator[str]:
    if patients:
        yield (
            f"{stem} has learnt, without labels, from {len(patients)} of the "
            f"{tested['patient_id'].nunique()} patients it is tested on"
        )
    strangers = (tested["traced"] == "no").sum()
    if unknown:
        yield (
            f"{stem} may have learnt from the patients it is tested on: nobody knows the patient "
            f"of {unknown} images it has learnt from"
            + (f", nor of {strangers} tested ones" if strangers else "")
        )
    known = learnt[~learnt["pixels"].isin(set(tested["pixels"]))]
    alike = list(find_alike(list(known["perceptual"]), list(tested["perceptual"])))
    if alike:
        near, asked = known.iloc[alike[0][0]], tested.iloc[alike[0][1]]
        yield (
            f"{len(alike)} of the {len(tested)} patches that {stem} is tested on look much like "
            f"what it has learnt from, the first is of {asked['slide_id']}, like one of "
            f"{near['slide_id']}"
        )
