"""Runs that differ in their seed alone, scored together and compared with other such groups.

A group's value is the mean over its seeds. Its interval is of that mean when the test patients are
drawn again, all seeds scored on the same drawn patients; it tells nothing of other seeds, for which
the range over those that were run stands beside it. Two groups are compared on what all their runs
predicted, under the same draws.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from wsikd.config import Settings
from wsikd.evaluation.aggregate import Unit, aggregate, decide
from wsikd.evaluation.bootstrap import patient_matrices
from wsikd.evaluation.documents import Estimate
from wsikd.evaluation.estimates import UNKNOWN, draw_scores, estimates
from wsikd.evaluation.metrics import Floats, score
from wsikd.evaluation.notes import Limits, find_limits
from wsikd.evaluation.strata import labels_of

GROUP_UNITS: tuple[Unit, ...] = ("region", "slide")


class SeedSettings(Settings):
    """How the runs of several seeds become numbers."""

    draws: int = Field(10_000, ge=100, description="bootstrap draws of the test patients")
    bootstrap_seed: int = Field(0, ge=0, description="of the bootstrap's random numbers")


class SeedEstimate(Estimate):
    """The mean over seeds with its interval, and the ends of the range over the runs."""

    lowest: float
    highest: float


class SeedScores(Settings):
    """The scores of runs that differ in their seed alone, on regions or slides."""

    count: int = Field(description="units that all runs predict")
    patients: int
    metrics: dict[str, SeedEstimate]
    reason: str | None = Field(description="why there is no interval, or not for all metrics")


class About(Settings):
    """What runs that differ in their seed alone are, read and learnt from."""

    name: str = Field(description="what the names of the runs have in common")
    control: bool = Field(description="whether it is there for others to be compared with")
    patches: str = Field(description="what the patches are called")
    view: str = Field(description="what is called what is seen of the patches")
    magnification: float
    percent: float = Field(description="share of the training patches, in per cent")


class ScoredSeeds(About):
    """A group of runs and its scores: one of `arms` in `probe-metrics.json`."""

    runs: tuple[str, ...]
    classes: tuple[str, ...]
    units: dict[Unit, SeedScores] = Field(description="those that have labels")


class SeedDifference(Settings):
    """The mean over the seeds of one group minus that of another."""

    arm: str = Field(description="name of the group")
    reference: str
    unit: Unit
    count: int
    patients: int
    metrics: dict[str, Estimate]
    reason: str | None


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in their seed alone.

    Attributes
    ----------
    about : About
        What they are, read and learnt from.
    classes : tuple of str
        In the order of p_0, p_1, ...
    predictions : mapping of str to DataFrame
        By run, the predictions of the test patches of all folds, as `RunFolder.read_predictions`
        returns them.
    """

    about: About
    classes: tuple[str, ...]
    predictions: Mapping[str, pd.DataFrame]

    @cached_property
    def decisions(self) -> dict[Unit, list[pd.DataFrame]]:
        """What each run decides, by unit; in the order of the runs' names."""
        return {
            unit: [
                decide(aggregate(predictions, self.classes, unit), self.classes)
                for _, predictions in sorted(self.predictions.items())
            ]
            for unit in GROUP_UNITS
        }


def seedless_name(run: str) -> str:
    """Name the runs of all seeds together: the name without seed, fold and the encoder's fold.

    Examples
    --------
    >>> seedless_name("probe-pair-downsample-seed1-5pct-fold0")
    'probe-pair-downsample-5pct'
    >>> seedless_name("probe-pair-downsample-fromfold2-seed1-other-fold0")
    'probe-pair-downsample-other'
    """
    return re.sub(r"-(?:(?:from)?fold|seed)\d+(?=-|$)", "", run)


def score_seeds(group: SeedGroup, settings: SeedSettings) -> ScoredSeeds:
    """Score the runs of one group, by region and by slide."""
    units = {}
    for unit in GROUP_UNITS:
        matrices = _matrices([group], unit)
        if len(matrices):
            units[unit] = _summarise(matrices, group.classes, settings)
    return ScoredSeeds(
        **group.about.model_dump(),
        runs=tuple(sorted(group.predictions)),
        classes=group.classes,
        units=units,
    )


def compare_seeds(
    group: SeedGroup, reference: SeedGroup, settings: SeedSettings
) -> Iterator[SeedDifference]:
    """Subtract the mean over the seeds of `reference` from that of `group`, by region and slide."""
    for unit in GROUP_UNITS:
        names = {"arm": group.about.name, "reference": reference.about.name}
        difference = partial(SeedDifference, **names, unit=unit)
        matrices = _matrices([group, reference], unit)
        if len(matrices):
            limits = find_limits(labels_of(matrices), group.classes)
            metrics = _subtract(matrices, len(group.predictions), limits, settings)
            yield difference(**_counts(matrices), metrics=metrics, reason=limits.reason)
        elif unit == "region":
            nothing = "the two groups predict for nothing in common"
            yield difference(count=0, patients=0, metrics={**UNKNOWN}, reason=nothing)


def compare_all(groups: Sequence[SeedGroup], settings: SeedSettings) -> Iterator[SeedDifference]:
    """Compare groups that had the same patches and the same share of them to learn from.

    Every group that is no control is compared to those controls that learn and see what it sees,
    and to the groups that come after it.

    Parameters
    ----------
    groups : sequence of SeedGroup
        In the order in which they are compared.
    settings : SeedSettings
        How they are compared.
    """
    for place, group in enumerate(groups):
        for later, reference in enumerate(groups):
            if group.about.control or group.classes != reference.classes:
                continue
            if reference.about.control:
                wanted = "control-majority" not in reference.about.name
            else:
                wanted = later > place
            if wanted and _are_comparable(group.about, reference.about):
                yield from compare_seeds(group, reference, settings)


def _are_comparable(one: About, reference: About) -> bool:
    """Tell whether two groups learnt from the same share of what both see, or of the patches."""
    if reference.control:
        return (one.view, one.percent) == (reference.view, reference.percent)
    return (one.patches, one.percent) == (reference.patches, reference.percent)


def _summarise(
    matrices: NDArray[np.int64], classes: Sequence[str], settings: SeedSettings
) -> SeedScores:
    drawn = draw_scores(matrices, draws=settings.draws, seed=settings.bootstrap_seed)
    limits = find_limits(labels_of(matrices), classes)
    of_runs = score(matrices.sum(0))  # by metric, of shape (runs,)
    metrics = {
        name: SeedEstimate(
            **estimate.model_dump(),
            lowest=float(of_runs[name].min()),
            highest=float(of_runs[name].max()),
        )
        for name, estimate in estimates(_mean(of_runs), _mean(drawn), limits).items()
    }
    return SeedScores(**_counts(matrices), metrics=metrics, reason=limits.reason)


def _subtract(
    matrices: NDArray[np.int64], runs: int, limits: Limits, settings: SeedSettings
) -> dict[str, Estimate]:
    """Subtract the mean scores of the runs after the first `runs` from that of these."""
    drawn = draw_scores(matrices, draws=settings.draws, seed=settings.bootstrap_seed)
    observed, redrawn = (
        {
            name: values[..., :runs].mean(-1) - values[..., runs:].mean(-1)
            for name, values in scores.items()
        }
        for scores in (score(matrices.sum(0)), drawn)
    )
    return estimates(observed, redrawn, limits)


def _matrices(groups: Sequence[SeedGroup], unit: Unit) -> NDArray[np.int64]:
    """Count the decisions of all runs on what all of them predicted: (patients, runs, K, K)."""
    decisions = [one for group in groups for one in group.decisions[unit]]
    common = decisions[0].index
    for other in decisions[1:]:
        common = common.intersection(other.index)
    count = len(groups[0].classes)
    return np.stack([patient_matrices(one.loc[common], count) for one in decisions], axis=1)


def _counts(matrices: NDArray[np.int64]) -> dict[str, int]:
    return {"count": int(matrices[:, 0].sum()), "patients": len(matrices)}


def _mean(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: values.mean(-1) for name, values in scores.items()}
