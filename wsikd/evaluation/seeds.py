"""Arms: runs that differ in their seed alone, scored together and held against other arms.

An arm's value is the mean over its seeds. Its interval is of that mean when the test patients are
drawn again, all seeds scored on the same drawn patients; it says nothing of other seeds, for which
the range over those that were run stands beside it. Two arms are compared on what all their runs
predicted, under the same draws.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from wsikd.config import Settings
from wsikd.evaluation.aggregate import Unit, aggregate, decide
from wsikd.evaluation.bootstrap import patient_matrices
from wsikd.evaluation.estimates import UNKNOWN, draw_scores, estimates
from wsikd.evaluation.metrics import Floats, score

ARM_UNITS: tuple[Unit, ...] = ("region", "slide")


class ArmSettings(Settings):
    """How the runs of an arm become numbers."""

    draws: int = Field(10_000, ge=100, description="bootstrap draws of the test patients")
    bootstrap_seed: int = Field(0, ge=0, description="of the bootstrap's random numbers")


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their seed alone.

    Attributes
    ----------
    name : str
        What the runs have in common.
    classes : tuple of str
        In the order of p_0, p_1, ...
    predictions : mapping of str to DataFrame
        By run, the predictions of the test patches of all folds, as `RunFolder.read_predictions`
        gives them.
    about : mapping of str
        What else is said of the arm; it goes into the result as it is.
    """

    name: str
    classes: tuple[str, ...]
    predictions: Mapping[str, pd.DataFrame]
    about: Mapping[str, Any]

    @cached_property
    def decisions(self) -> dict[Unit, list[pd.DataFrame]]:
        """What each run decides, by unit; in the order of the runs' names."""
        return {
            unit: [
                decide(aggregate(predictions, self.classes, unit), self.classes)
                for _, predictions in sorted(self.predictions.items())
            ]
            for unit in ARM_UNITS
        }


def arm_name(run: str) -> str:
    """Name the runs of all seeds together: the name without seed, fold and the encoder's fold.

    Examples
    --------
    >>> arm_name("probe-pair-downsample-seed1-5pct-fold0")
    'probe-pair-downsample-5pct'
    >>> arm_name("probe-pair-downsample-fromfold2-seed1-other-fold0")
    'probe-pair-downsample-other'
    """
    return re.sub(r"-(?:(?:from)?fold|seed)\d+(?=-|$)", "", run)


def score_arm(arm: Arm, settings: ArmSettings) -> dict[str, Any]:
    """Score one arm, by region and by slide.

    Returns
    -------
    dict
        name, runs, classes, what `about` holds, and units: for each unit that has a label
        {count, patients, metrics, reason}. A metric is {value, low, high, lowest, highest}, the
        last two of the runs.
    """
    units = {}
    for unit in ARM_UNITS:
        matrices = _matrices([arm], unit)
        if len(matrices):
            units[unit] = _summarise(matrices, settings)
    return {
        "name": arm.name,
        **arm.about,
        "runs": sorted(arm.predictions),
        "classes": list(arm.classes),
        "units": units,
    }


def compare_arms(arm: Arm, reference: Arm, settings: ArmSettings) -> Iterator[dict[str, Any]]:
    """Subtract the mean over the seeds of `reference` from that of `arm`, by region and by slide.

    Yields
    ------
    dict
        arm, reference, unit, count, patients, metrics ({value, low, high} each), reason.
    """
    for unit in ARM_UNITS:
        names = {"arm": arm.name, "reference": reference.name, "unit": unit}
        matrices = _matrices([arm, reference], unit)
        if len(matrices):
            yield names | _subtract(matrices, len(arm.predictions), settings)
        elif unit == "region":
            nothing = {"count": 0, "patients": 0, "metrics": {**UNKNOWN}}
            yield names | nothing | {"reason": "the two arms predict for nothing in common"}


def compare_all(arms: Sequence[Arm], settings: ArmSettings) -> Iterator[dict[str, Any]]:
    """Compare arms that had the same patches and the same share of them to learn from.

    Every arm that is no control is compared to those controls that learn and see what it sees, and
    to the arms that come after it.

    Parameters
    ----------
    arms : sequence of Arm
        Whose `about` has control, patches, view and percent.
    settings : ArmSettings
        How they are compared.

    Yields
    ------
    dict
        See `compare_arms`.
    """
    for place, arm in enumerate(arms):
        for later, reference in enumerate(arms):
            if arm.about["control"] or arm.classes != reference.classes:
                continue
            if reference.about["control"]:
                same, wanted = ("view", "percent"), "control-majority" not in reference.name
            else:
                same, wanted = ("patches", "percent"), later > place
            if wanted and all(arm.about[key] == reference.about[key] for key in same):
                yield from compare_arms(arm, reference, settings)


def _summarise(matrices: NDArray[np.int64], settings: ArmSettings) -> dict[str, Any]:
    drawn, reason = draw_scores(matrices, draws=settings.draws, seed=settings.bootstrap_seed)
    of_runs = score(matrices.sum(0))  # by metric, of shape (runs,)
    metrics = estimates(_mean(of_runs), _mean(drawn))
    for name, values in of_runs.items():
        metrics[name] |= {"lowest": float(values.min()), "highest": float(values.max())}
    return {**_counts(matrices), "metrics": metrics, "reason": reason}


def _subtract(matrices: NDArray[np.int64], runs: int, settings: ArmSettings) -> dict[str, Any]:
    drawn, reason = draw_scores(matrices, draws=settings.draws, seed=settings.bootstrap_seed)
    observed, redrawn = (
        {
            name: values[..., :runs].mean(-1) - values[..., runs:].mean(-1)
            for name, values in scores.items()
        }
        for scores in (score(matrices.sum(0)), drawn)
    )
    return {**_counts(matrices), "metrics": estimates(observed, redrawn), "reason": reason}


def _matrices(arms: Sequence[Arm], unit: Unit) -> NDArray[np.int64]:
    """Count the decisions of all runs on what all of them predicted: (patients, runs, K, K)."""
    decisions = [one for arm in arms for one in arm.decisions[unit]]
    common = decisions[0].index
    for other in decisions[1:]:
        common = common.intersection(other.index)
    count = len(arms[0].classes)
    return np.stack([patient_matrices(one.loc[common], count) for one in decisions], axis=1)


def _counts(matrices: NDArray[np.int64]) -> dict[str, int]:
    return {"count": int(matrices[:, 0].sum()), "patients": len(matrices)}


def _mean(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: values.mean(-1) for name, values in scores.items()}
