"""What runs recorded of their splits, held against today's manifest.

A run that learnt from what others are tested on now would look better than it is.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

import pandas as pd

from wsikd.cohort.splits import splits_digest, splits_of_fold
from wsikd.errors import CheckpointError
from wsikd.runs import Provenance, RunFolder
from wsikd.runs.learnt import learnt_from

_PLACE = ["slide_id", "patient_id", "split", "label"]
_SPLITS = ("train", "val", "test")


def splits_now(made: Provenance, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest with the splits that a run of this fold would have today."""
    return manifest if made.fold is None else splits_of_fold(manifest, made.fold)


def read_recorded(run: RunFolder) -> pd.DataFrame | None:
    """Read what a run has seen; None if it is of an older version, which did not write it."""
    return run.read_learnt() if run.has_learnt() else None


def check_recorded(
    made: Provenance,
    recorded: pd.DataFrame | None,
    predicted: pd.DataFrame,
    manifest: pd.DataFrame,
) -> None:
    """Refuse a run whose slides are in other splits, or of other patients or labels, today.

    Of runs without a record the predicted slides are compared, which are those of val and test.

    Raises
    ------
    CheckpointError
        The message names the run and the first slide.
    """
    now = splits_now(made, manifest)
    places = {row["slide_id"]: row for row in now[_PLACE].to_dict("records")}
    own = predicted if recorded is None else pd.concat([recorded.query("via == ''"), predicted])
    for before in own[_PLACE].drop_duplicates().to_dict("records"):
        slide_id = before["slide_id"]
        if slide_id not in places or not _is_same(before, places[slide_id]):
            raise CheckpointError(
                f"{made.name} was trained on other splits, patients or labels than the manifest's, "
                f"as of slide {slide_id}; remove its folder and train it again"
            )
    if recorded is not None:
        _refuse_seen(made, recorded, now)


def _is_same(before: Mapping[Hashable, str], now: Mapping[Hashable, str]) -> bool:
    """Tell whether a slide is where it was; of an auxiliary one the label was not read."""
    if before["split"] != "auxiliary":
        return before == now
    # nothing is tested on a slide without a label, in whatever split it waits for one
    is_untested = now["split"] == "auxiliary" or now["label"] == ""
    return before["patient_id"] == now["patient_id"] and is_untested


def _refuse_seen(made: Provenance, recorded: pd.DataFrame, now: pd.DataFrame) -> None:
    """Refuse a run that has seen, itself or through one it started from, what is tested today."""
    tested = now[now["split"] == "test"]
    rows = learnt_from(recorded)
    rows = rows[rows["traced"] != "no"]
    for column in ("slide_id", "patient_id"):
        both = sorted(set(tested[column]) & set(rows[column]) - {""})
        if both:
            via = rows.loc[rows[column] == both[0], "via"].iloc[0]
            what = f"{column.removesuffix('_id')} {both[0]}" + (f" through {via}" if via else "")
            raise CheckpointError(
                f"{made.name} has seen {what}, which the manifest has in test now; remove the "
                "folder of what has seen it and train it again"
            )


def find_lacking(
    made: Provenance,
    recorded: pd.DataFrame | None,
    predicted: pd.DataFrame,
    manifest: pd.DataFrame,
) -> dict[str, set[str]]:
    """Return the slides that the manifest has today and a run lacks: of test, and of the rest.

    Of a run without a record only what it predicted is known, which has no training slides.
    """
    now = splits_now(made, manifest)
    now = now[now["split"].isin(_SPLITS) & (now["label"] != "")]
    known = predicted if recorded is None else recorded
    missing = now[~now["slide_id"].isin(known["slide_id"])]
    is_tested = missing["split"] == "test"
    rest = missing[~is_tested] if recorded is not None else missing[:0]
    return {"test": set(missing.loc[is_tested, "slide_id"]), "train or val": set(rest["slide_id"])}


def notes_on_lacking(lacking: Mapping[str, Sequence[Mapping[str, set[str]]]]) -> Iterator[str]:
    """Yield which runs lack slides that the manifest has today, runs that lack the same together.

    Parameters
    ----------
    lacking : mapping
        By the name of a run, for each of its folds what `find_lacking` returned.
    """
    runs_of: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, folds in lacking.items():
        for part in sorted({part for fold in folds for part in fold}):
            slides = tuple(sorted({slide_id for fold in folds for slide_id in fold[part]}))
            if slides:
                runs_of[part, slides].append(name)
    for (part, slides), names in runs_of.items():
        did = "tested on" if part == "test" else "made with"
        yield (
            f"{', '.join(names)}: not {did} {len(slides)} of the slides that the manifest has in "
            f"{part}, the first is {slides[0]}; they took no part in it then"
        )


def check_older(
    made: Provenance,
    recorded: pd.DataFrame | None,
    predicted: pd.DataFrame,
    manifest: pd.DataFrame,
    known: Collection[str],
) -> tuple[str, ...]:
    """Refuse a run without a record if it may have learnt from what is tested today.

    Parameters
    ----------
    made, recorded, predicted, manifest
        As for `check_recorded`, which has found that what it predicted is where it was.
    known : collection of str
        The slides that any run beside it had.

    Returns
    -------
    tuple of str
        That what it learnt from is not known, where its splits are not surely today's.

    Raises
    ------
    CheckpointError
        If its digests are not today's, and a slide is tested today on which it was not.
    """
    if recorded is not None or not made.kind.follows_splits:
        return ()
    now = splits_now(made, manifest)
    now = now[(now["label"] != "") | (now["split"] == "auxiliary")]
    if _has_learnt_as_now(made, predicted, now, known):
        return ()
    untested = set(now.loc[now["split"] == "test", "slide_id"]) - set(predicted["slide_id"])
    if untested:
        raise CheckpointError(
            f"{made.name} is of an older version, which recorded no slides, and its splits are not "
            f"surely the manifest's; it may have learnt from slide {min(untested)}, which is in "
            "test now; remove its folder and train it again"
        )
    note = (
        "an older version made it, which did not record the slides it learnt from; whether the "
        "manifest has them in the same split, with the same patient and label, is not known"
    )
    return (note,)


def _has_learnt_as_now(
    made: Provenance, predicted: pd.DataFrame, now: pd.DataFrame, known: Collection[str]
) -> bool:
    """Tell whether the digests of a run are those of slides that it learns from today, too.

    What it validated and tested is what it predicted. It learnt from all the others of today, or
    from those that any run had: slides that could not be prepared are in none.
    """
    asked = [("train", "splits", predicted)]
    if "auxiliary" in made.inputs:
        asked.append(("auxiliary", "auxiliary", predicted[:0]))
    for split, key, beside in asked:
        rows = now[now["split"] == split]
        digests = {
            splits_digest(pd.concat([one, beside])[_PLACE].itertuples(index=False, name=None))
            for one in (rows, rows[rows["slide_id"].isin(known)])
        }
        if made.inputs.get(key) not in digests:
            return False
    return True
