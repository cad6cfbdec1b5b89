"""Who is learnt from and who is tested: splits and folds of a manifest, by patient."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from wsikd.cohort.columns import SPLITS
from wsikd.cohort.manifest import refuse_empty, source_of
from wsikd.cohort.naming import file_key
from wsikd.cohort.stratify import deal_folds, deal_splits
from wsikd.cohort.unlabelled import (
    Unlabelled,
    is_dealt,
    is_left_out,
    leave_out_of_fold,
    leave_out_tested,
    state_unlabelled,
)
from wsikd.errors import ConfigError, LeakageError, ManifestError
from wsikd.hashing import digest


def split_by_patient(
    table: pd.DataFrame,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
    unlabelled: Unlabelled | None = None,
) -> pd.DataFrame:
    """Fill the column `split` by patient, each class in the same proportions; clear `fold`.

    Slides whose split is auxiliary stay so; `splits_of_fold` leaves those without a label out where
    their patient is validated or tested. A patient with several labels counts for the rarest. The
    outcome depends on the seed and the patients, not on the order of the rows.

    Parameters
    ----------
    table : DataFrame
        A manifest with the patient ids filled in.
    fractions : tuple of float
        Of train, val and test; each class has at least one patient in each that is not 0.
    seed : int
        Of the shuffling.
    unlabelled : str or None
        What becomes of slides without a label, see `state_unlabelled`.

    Raises
    ------
    ConfigError
        If the fractions are negative, leave nothing to train on, or do not add up to 1.
    ManifestError
        If a patient id is empty, all labels are, or one that is refused, or a class has fewer
        patients than there are splits.
    LeakageError
        If a patient is validated or tested of whom a slide with a label is auxiliary.
    """
    if min(fractions) < 0 or fractions[0] == 0 or not math.isclose(sum(fractions), 1):
        raise ConfigError(f"fractions must be at least 0, train above 0, sum 1, got {fractions}")
    table = state_unlabelled(table, unlabelled)
    labels = _patient_labels(table, needed=sum(share > 0 for share in fractions))
    shares = dict(zip(SPLITS, fractions, strict=False))
    given = table["patient_id"].map(deal_splits(labels, shares, seed))
    dealt = table.assign(split=table["split"].mask(is_dealt(table), given), fold="")
    check_no_leak(dealt)
    return dealt


def assign_folds(
    table: pd.DataFrame, folds: int, seed: int = 0, unlabelled: Unlabelled | None = None
) -> pd.DataFrame:
    """Fill the column `fold` with 0 to `folds` - 1 by patient, each class spread evenly.

    Clears `split` except of auxiliary slides, which get the fold of their patient, if that has
    one; `splits_of_fold` says what a fold means.

    Raises
    ------
    ConfigError
        If there are fewer than 3 folds: one to test, one to validate, the rest to train.
    ManifestError
        If a patient id is empty, all labels are, or one that is refused, or a class has fewer
        patients than there are folds.
    LeakageError
        If a file is in two folds.
    """
    if folds < 3:
        raise ConfigError(f"folds must be at least 3 (test, val, train), got {folds}")
    table = state_unlabelled(table, unlabelled)
    dealt = deal_folds(_patient_labels(table, needed=folds), folds, seed)
    return with_folds(table, table["patient_id"].map(dealt))


def with_folds(table: pd.DataFrame, folds: "pd.Series[float]") -> pd.DataFrame:
    """Return the manifest with these folds, NaN for none, checked for leaks."""
    text = folds.map(lambda fold: f"{fold:.0f}", na_action="ignore").fillna("")
    auxiliary = table["split"] == "auxiliary"
    split, fold = table["split"].where(auxiliary, ""), text.mask(is_left_out(table), "")
    dealt = table.assign(split=split, fold=fold)
    check_no_leak(dealt)
    return dealt


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

    Returns
    -------
    DataFrame
        The rows of `table`. The split of slides that take no part is empty: those without a label
        that are not auxiliary, and auxiliary ones of patients who are validated or tested; without
        folds an auxiliary slide of theirs that has a label is a leak.

    Raises
    ------
    ManifestError
        If there is no such fold, a patient or split is empty, all labels are, or a class is not in
        training.
    LeakageError
        If a patient or a file is in two splits.
    """
    table = table.copy()
    if fold is not None:
        names = _splits_by_fold(table, fold)
        used = table["split"] != "auxiliary"
        table.loc[used, "split"] = table.loc[used, "fold"].map(names).fillna("")
        table = leave_out_of_fold(table, names)
    table["split"] = table["split"].mask(is_left_out(table), "")
    check_patients(table)
    refuse_empty(_with_all_filled(table, "split"), "split", "run wsikd split or set it")
    check_no_leak(table)
    table = leave_out_tested(table)
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


def splits_digest(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Hash who is where: slide_id, patient_id, split and label of slides, in any order."""
    return digest("\t".join(row) for row in sorted(set(rows)))


def cohort_digest(table: pd.DataFrame) -> str:
    """Hash what numbers stand on: slide_id, patient_id, split, fold and label of all slides."""
    columns = ["slide_id", "patient_id", "split", "fold", "label"]
    return digest(sorted("\t".join(row) for row in table[columns].itertuples(index=False)))


def check_no_leak(table: pd.DataFrame) -> None:
    """Refuse a manifest in which a patient, or a slide's file, is in two splits or two folds.

    Auxiliary is a split like the others: what a student has seen must not be tested on. A patient
    may be in train as well, as both are learnt from, and in a fold, or in any split if the
    auxiliary slide has no label: `splits_of_fold` leaves it out where its patient is tested. A file
    is known however its path is spelt, and is of one patient alone.

    Raises
    ------
    LeakageError
        The message names the patient or the file, and both splits or patients.
    """
    auxiliary = table["split"] == "auxiliary"
    folds = table["fold"].mask(auxiliary, "auxiliary")
    files = table["path"].map(lambda text: file_key(Path(text)) if text else "")
    for part, places in (("split", table["split"]), ("fold", folds)):
        for column, same in (("patient_id", table["patient_id"]), ("path", files)):
            where = places.mask(auxiliary, "") if column == "patient_id" else places
            used = (where != "") & (same != "")
            held = table.assign(place=where, same=same)[used].drop_duplicates(["same", "place"])
            twice = held[held["same"].duplicated(keep=False)].sort_values(["same", "place"])
            if len(twice):
                value, first, second = twice[column].iloc[0], *twice["place"].iloc[:2]
                raise LeakageError(
                    f"{source_of(table)}: {column} {value!r} is in {part} {first} and {second}; "
                    "keep it in one"
                )
    _refuse_stated_auxiliary(table)
    _refuse_two_patients(table.assign(file=files))


def _refuse_stated_auxiliary(table: pd.DataFrame) -> None:
    """Refuse an auxiliary slide that has a label and whose patient is validated or tested."""
    judged = table[is_dealt(table) & table["split"].isin(("val", "test"))]
    split_of = dict(zip(judged["patient_id"], judged["split"], strict=True))
    stated = table[(table["split"] == "auxiliary") & (table["label"] != "")]
    for slide_id, patient in zip(stated["slide_id"], stated["patient_id"], strict=True):
        if patient and patient in split_of:
            split = split_of[patient]
            raise LeakageError(
                f"{source_of(table)}: patient_id {patient!r} is in split auxiliary and {split}; "
                f"give slide {slide_id!r} the split {split}, or clear its label, so that it is "
                "left out"
            )


def _refuse_two_patients(table: pd.DataFrame) -> None:
    """Refuse a file, of the column `file`, that is of two patients."""
    known = table[(table["file"] != "") & (table["patient_id"] != "")]
    known = known.drop_duplicates(["file", "patient_id"])
    twice = known[known["file"].duplicated(keep=False)].sort_values(["file", "slide_id"])
    if len(twice):
        first, second = twice["slide_id"].iloc[:2]
        patients = " and ".join(map(repr, twice["patient_id"].iloc[:2]))
        raise LeakageError(
            f"{source_of(table)}: slides {first} and {second} are one file, of the patients "
            f"{patients}; keep one of them, or correct patient_id"
        )


def _splits_by_fold(table: pd.DataFrame, fold: int) -> dict[str, str]:
    """Return the split that each fold is when one of them is tested."""
    count = fold_count(table)
    if count is None or not 0 <= fold < count:
        held = "no folds" if count is None else f"folds 0 to {count - 1}"
        raise ManifestError(f"{source_of(table)}: has {held}, not fold {fold}; run wsikd split")
    names = {str(k): "train" for k in range(count)}
    return names | {str((fold + 1) % count): "val", str(fold): "test"}


def check_patients(table: pd.DataFrame) -> None:
    """Refuse a slide that takes part and has no patient, and a manifest without any label.

    Raises
    ------
    ManifestError
        The message names the slide, or what labels lack.
    """
    remedy = "fill in the column patient_id"
    if not is_dealt(table).any():
        refuse_empty(table, "patient_id", remedy)
        if (table["label"] == "").all():
            raise ManifestError(f"{source_of(table)}: no slide has a label; fill in some labels")
        raise ManifestError(
            f"{source_of(table)}: every slide with a label is auxiliary; clear the split of some"
        )
    refuse_empty(_with_all_filled(table, "patient_id"), "patient_id", remedy)


def _with_all_filled(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the manifest with the cells of a column filled where slides take no part."""
    return table.assign(**{column: table[column].mask(is_left_out(table), "none")})


def _patient_labels(table: pd.DataFrame, needed: int) -> dict[str, set[str]]:
    """Return the label of each patient to be split; of every class there are at least `needed`."""
    check_patients(table)
    used = table[is_dealt(table)]
    labels = {str(patient): set(found) for patient, found in used.groupby("patient_id")["label"]}
    counts = Counter(label for found in labels.values() for label in found)
    for label, count in sorted(counts.items()):
        if count < needed:
            raise ManifestError(
                f"{source_of(table)}: label {label!r} has {count} patients, needs {needed}; "
                "add patients, ask for fewer folds, or drop the label"
            )
    return labels
