"""Dealing a cohort as it is asked for, and what a user should know about the outcome."""

from typing import Literal

import pandas as pd
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError

from wsikd.cohort.doubts import find_doubts
from wsikd.cohort.sites import about_sites, assign_site_folds, name_folds, site_of_fold
from wsikd.cohort.splits import assign_folds, split_by_patient
from wsikd.cohort.unlabelled import Unlabelled, about_unlabelled
from wsikd.config import Settings


class SplitSettings(Settings):
    """How patients are dealt into training, validation and test, or into folds."""

    folds: Literal["site"] | int | None = Field(
        None, description="number of folds, for small cohorts; site: a fold for each site"
    )
    fractions: tuple[float, float, float] = Field(
        (0.70, 0.15, 0.15), description="of the patients for train, val and test, without folds"
    )
    seed: int = Field(0, ge=0, description="of the shuffling")
    unlabelled: Unlabelled | None = Field(
        None,
        description="what slides without a label are; auxiliary: students learn from them; unset: "
        "left out, unless their split is auxiliary already",
    )

    @field_validator("folds", mode="wrap")
    @classmethod
    def _take_a_number_or_site(cls, value: object, take: ValidatorFunctionWrapHandler) -> object:
        try:
            return take(value)
        except ValidationError:  # else its subject is one member of the union
            rule = "Input should be a number of folds, or site"
            raise PydanticCustomError("folds", rule) from None


def deal(table: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Return the manifest with `split` or `fold` filled in as the settings ask.

    Raises
    ------
    ConfigError, ManifestError, LeakageError
        As `split_by_patient`, `assign_folds` and `assign_site_folds` do.
    """
    folds, unlabelled = settings.folds, settings.unlabelled
    if folds == "site":
        return assign_site_folds(table, unlabelled)
    if folds is None:
        return split_by_patient(table, settings.fractions, settings.seed, unlabelled)
    return assign_folds(table, folds, settings.seed, unlabelled)


def about_splits(table: pd.DataFrame, settings: SplitSettings) -> list[str]:
    """Tell in a line each which slides take no part, and what sites as folds cannot test.

    Parameters
    ----------
    table : DataFrame
        A manifest as dealt.
    settings : SplitSettings
        How it was dealt.
    """
    undecided = settings.unlabelled is None
    return [*about_unlabelled(table, undecided=undecided), *about_sites(table)]


def about_cohort(table: pd.DataFrame) -> list[str]:
    """Tell in a line each what a reader of numbers should know of patients, labels and sites."""
    by_site = bool(site_of_fold(table))
    return [*find_doubts(table, by_site=by_site), *name_folds(table), *about_sites(table)]
