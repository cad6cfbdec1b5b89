"""Who is learnt from and who is tested: splits and folds of a manifest, by patient."""

import math
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from wsikd.cohort.columns import SPLITS
from wsikd.cohort.manifest import refuse_empty, source_of
from wsikd.cohort.stratify import deal_folds, deal_splits
from wsikd.errors import ConfigError, LeakageError, ManifestError


def split_by_patient(
    table: pd.DataFrame,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
) -> pd.DataFrame:
    """Fill the column `split` by patient, each class in the same proportions; clear `fold`.

    Slides whose split is auxiliary stay so. A patient with several labels counts for the rarest.
    The outcome depends on the seed and the patients, not on the order of the rows.

    Parameters
    ----------
    table : DataFrame
        A manifest with every patient id and label filled in.
    fractions : tuple of float
        Of train, val and test; each class has at least one patient in each that is not 0.
    seed : int
        Of the shuffling.

    Raises
    ------
    ConfigError
        If the fractions are negative, leave nothing to train on, or do not add up to 1.
    ManifestError
        If an id or a label is empty, or a class has fewer patients than there are splits.
    LeakageError
        If a patient is auxiliary and not.
    """
    if min(fractions) < 0 or fractions[0] == 0 or not math.isclose(sum(fractions), 1):
        raise ConfigError(f"fractions must be at least 0, train above 0, sum 1, got {fractions}")
    labels = _patient_labels(table, needed=sum(share > 0 for share in fractions))
    shares = dict(zip(SPLITS, fractions, strict=False))
    return _assign(table, "split", deal_splits(labels, shares, seed))


def assign_folds(table: pd.DataFrame, folds: int, seed: int = 0) -> pd.DataFrame:
    """Fill the column `fold` with 0 to `folds` - 1 by patient, each class spread evenly.

    Clears `split` except of auxiliary slides; `splits_of_fold` says what a fold means.

    Raises
    ------
    ConfigError
        If there are fewer than 3 folds: one to test, one to validate, the rest to train.
    ManifestError
        If an id or a label is empty, or a class has fewer patients than there are folds.
    LeakageError
        If a patient is auxiliary and not.
    """
    if folds < 3:
        raise ConfigError(f"folds must be at least 3 (test, val, train), got {folds}")
    labels = _patient_labels(table, needed=folds)
    dealt = deal_folds(labels, folds, seed)
    return _assign(table, "fold", {patient: str(fold) for patient, fold in dealt.items()})


def is_split(table: pd.DataFrame) -> bool:
    """Tell whether any slide was given a split to learn from, or a fold."""
    return bool((table["split"].isin(SPLITS[:3]) | (table["fold"] != "")).any())


def fold_count(table: pd.DataFrame) -> int | None:
    """Count the folds, or None if the column `fold` is empty.

    Raises
    ------
    ManifestError
        If a fold between 0 and the last has no slide.
    """
    folds = sorted({int(text) for text in table["fold"] if text})
    if folds != list(range(len(folds))):
        found = ", ".join(str(fold) for fold in folds)
        raise ManifestError(
            f"{source_of(table)}: folds must count from 0 without a gap, has {found}"
        )
    return len(folds) or None


def splits_of_fold(table: pd.DataFrame, fold: int | None) -> pd.DataFrame:
    """Return the manifest with the splits of one fold, checked for learning from it.

    Parameters
    ----------
    table : DataFrame
        A manifest.
    fold : int or None
        Fold k tests on fold k, validates on the next (of the last: fold 0), trains on the others.
        None takes the column `split` as it is.

    Raises
    ------
    ManifestError
        If there is no such fold, a patient, label or split is empty, or a class is not in training.
    LeakageError
        If a patient or a file is in two splits.
    """
    table = table.copy()
    if fold is not None:
        count = fold_count(table)
        if count is None or not 0 <= fold < count:
            held = "no folds" if count is None else f"folds 0 to {count - 1}"
            raise ManifestError(f"{source_of(table)}: has {held}, not fold {fold}; run wsikd split")
        names = {str(k): "train" for k in range(count)}
        names |= {str((fold + 1) % count): "val", str(fold): "test"}
        used = table["split"] != "auxiliary"
        table.loc[used, "split"] = table.loc[used, "fold"].map(names).fillna("")
    _check_filled(table)
    refuse_empty(table, "split", "run wsikd split or set it")
    check_no_leak(table)
    trained = set(table.loc[table["split"] == "train", "label"])
    for label in classes_of(table):
        if label not in trained:
            raise ManifestError(
                f"{source_of(table)}: no slide of label {label!r} is in train; "
                "run wsikd split, or drop the label"
            )
    return table


def classes_of(table: pd.DataFrame) -> tuple[str, ...]:
    """List the labels of the slides that are not auxiliary, sorted."""
    return tuple(sorted(set(table.loc[table["split"] != "auxiliary", "label"]) - {""}))


def check_no_leak(table: pd.DataFrame) -> None:
    """Refuse a manifest in which a patient, or a slide's file, is in two splits or two folds.

    Auxiliary is a split like the others: what a student has seen must not be tested on.

    Raises
    ------
    LeakageError
        The message names the patient or the file, and both splits.
    """
    folds = table["fold"].mask(table["split"] == "auxiliary", "auxiliary")
    for part, places in (("split", table["split"]), ("fold", folds)):
        for column in ("patient_id", "path"):
            used = (places != "") & (table[column] != "")
            held = table.assign(place=places)[used][[column, "place"]].drop_duplicates()
            twice = held[held[column].duplicated(keep=False)].sort_values([column, "place"])
            if len(twice):
                value, first, second = twice[column].iloc[0], *twice["place"].iloc[:2]
                raise LeakageError(
                    f"{source_of(table)}: {column} {value!r} is in {part} {first} and {second}; "
                    "keep it in one"
                )


def _check_filled(table: pd.DataFrame) -> None:
    refuse_empty(table, "patient_id", "fill in the column patient_id")
    labelled = table.assign(label=table["label"].where(table["split"] != "auxiliary", "none"))
    refuse_empty(labelled, "label", "fill it in, or set split to auxiliary")


def _patient_labels(table: pd.DataFrame, needed: int) -> dict[str, set[str]]:
    """Return the label of each patient to be split; of every class there are at least `needed`."""
    _check_filled(table)
    used = table[table["split"] != "auxiliary"]
    labels = {str(patient): set(found) for patient, found in used.groupby("patient_id")["label"]}
    counts = Counter(label for found in labels.values() for label in found)
    for label, count in sorted(counts.items()):
        if count < needed:
            raise ManifestError(
                f"{source_of(table)}: label {label!r} has {count} patients, needs {needed}; "
                "add patients, ask for fewer folds, or drop the label"
            )
    return labels


def _assign(table: pd.DataFrame, column: str, given: Mapping[str, str]) -> pd.DataFrame:
    """Fill `split` or `fold` by patient and clear the other; auxiliary slides keep their split."""
    auxiliary = table["split"] == "auxiliary"
    cleared = table.assign(split=table["split"].where(auxiliary, ""), fold="")
    cleared.loc[~auxiliary, column] = cleared.loc[~auxiliary, "patient_id"].map(given)
    check_no_leak(cleared)
    return cleared
