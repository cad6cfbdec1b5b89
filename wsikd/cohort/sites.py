"""Folds by site: each hospital is tested by models that learnt from others."""

import pandas as pd

from wsikd.cohort.manifest import refuse_empty, source_of
from wsikd.cohort.splits import check_patients, classes_of, with_folds
from wsikd.cohort.unlabelled import Unlabelled, is_dealt, is_left_out, state_unlabelled
from wsikd.errors import LeakageError, ManifestError

_LEAST = 3  # one to test, one to validate, the rest to train


def assign_site_folds(table: pd.DataFrame, unlabelled: Unlabelled | None = None) -> pd.DataFrame:
    """Fill the column `fold` with one fold for each site, sites in the order of the alphabet.

    Fold k tests on a whole site, validates on the next one and trains on the others. Auxiliary
    slides get the fold of their site, and are left out where it is tested.

    Parameters
    ----------
    table : DataFrame
        A manifest with the column `site` filled in.
    unlabelled : str or None
        What becomes of slides without a label, see `state_unlabelled`.

    Raises
    ------
    ManifestError
        If a site or a patient id is empty, there are fewer than 3 sites, or a class is in no site
        that a fold trains on.
    LeakageError
        If a patient is at two sites, or a file in two folds.
    """
    table = state_unlabelled(table, unlabelled)
    check_patients(table)
    used = table[~is_left_out(table)]
    whole = table.assign(site=table["site"].mask(is_left_out(table), "none"))
    refuse_empty(whole, "site", "fill it in, or ask for a number of folds")
    _refuse_two_sites(table, used)
    sites = sorted(set(table.loc[is_dealt(table), "site"]))
    if len(sites) < _LEAST:
        raise ManifestError(
            f"{source_of(table)}: labelled slides must be of at least 3 sites (test, val, train), "
            f"are of {', '.join(sites)}; ask for a number of folds"
        )
    _refuse_untaught(table, sites)
    return with_folds(table, table["site"].map({site: fold for fold, site in enumerate(sites)}))


def site_of_fold(table: pd.DataFrame) -> dict[str, str]:
    """Return the site of each fold by its number, where folds and sites are one; else nothing."""
    dealt = table[is_dealt(table) & (table["fold"] != "") & (table["site"] != "")]
    pairs = dealt[["fold", "site"]].drop_duplicates()
    if pairs["fold"].duplicated().any() or pairs["site"].duplicated().any():
        return {}
    return dict(sorted(zip(pairs["fold"], pairs["site"], strict=True)))


def name_folds(table: pd.DataFrame) -> list[str]:
    """Tell in a line which site each fold is, where folds and sites are one."""
    named = ", ".join(f"{fold} is {site!r}" for fold, site in site_of_fold(table).items())
    return [f"each fold is a site, tested by models of other sites: {named}"] if named else []


def about_sites(table: pd.DataFrame) -> list[str]:
    """Tell in a line each which sites lack a class, so that their fold tests fewer.

    Parameters
    ----------
    table : DataFrame
        A manifest whose folds are sites; nothing is told of another.
    """
    classes, dealt = classes_of(table), table[is_dealt(table)]
    notes = []
    for fold, site in site_of_fold(table).items():
        there = set(dealt.loc[dealt["site"] == site, "label"])
        lacking = [repr(label) for label in classes if label not in there]
        if lacking:
            notes.append(
                f"site {site!r} has no slide of label {' or '.join(lacking)}: fold {fold} cannot "
                "be tested on it"
            )
    return notes


def _refuse_two_sites(table: pd.DataFrame, used: pd.DataFrame) -> None:
    pairs = used[["patient_id", "site"]].drop_duplicates().sort_values(["patient_id", "site"])
    twice = pairs[pairs["patient_id"].duplicated(keep=False)]
    if len(twice):
        patient, (first, second) = twice["patient_id"].iloc[0], twice["site"].iloc[:2]
        raise LeakageError(
            f"{source_of(table)}: patient_id {patient!r} is at site {first!r} and {second!r}; "
            "correct the column site, or ask for a number of folds"
        )


def _refuse_untaught(table: pd.DataFrame, sites: list[str]) -> None:
    """Refuse sites of which a fold cannot train on every class."""
    dealt = table[is_dealt(table)]
    for fold, tested in enumerate(sites):
        validated = sites[(fold + 1) % len(sites)]
        trained = set(dealt.loc[~dealt["site"].isin((tested, validated)), "label"])
        for label in classes_of(table):
            if label not in trained:
                raise ManifestError(
                    f"{source_of(table)}: no slide of label {label!r} is left to train on when "
                    f"site {tested!r} is tested and {validated!r} validated; ask for a number of "
                    "folds, or drop the label"
                )
