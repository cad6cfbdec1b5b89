"""The scores of a run on its regions, slides or patients, and of one run minus another."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsikd.evaluation.bootstrap import patient_matrices, resample_classes_evenly, times_drawn
from wsikd.evaluation.documents import ClassScores, Estimate, UnitScores
from wsikd.evaluation.estimates import estimates, subtract
from wsikd.evaluation.metrics import Floats, mean_over, score, score_classes
from wsikd.evaluation.notes import Limits, are_hardly_drawn, find_absent, find_limits
from wsikd.evaluation.ordered import score_order
from wsikd.evaluation.probabilities import (
    Answers,
    Times,
    areas_under_curves,
    calibration_bins,
    calibration_errors,
)
from wsikd.evaluation.strata import FEWEST_PATIENTS, find_strata, labels_of

CLASS_METRICS = ("recall", "precision", "f1", "auroc")
PROBABILITY_METRICS = ("auroc", "ece")


@dataclass(frozen=True)
class Scoring:
    """How decisions are scored.

    Attributes
    ----------
    draws, seed : int
        Of the bootstrap.
    as_released : bool
        Whether as paper 2's published code does.
    ordered : tuple of str
        The classes in their order; empty if they have none.
    """

    draws: int
    seed: int
    as_released: bool = False
    ordered: tuple[str, ...] = ()


class Scores(NamedTuple):
    """Scores of many test sets at once.

    Attributes
    ----------
    overall : dict of ndarray, shape (draws, ...)
        By metric.
    by_class : dict of ndarray, shape (draws, K)
        By metric of `CLASS_METRICS`.
    """

    overall: dict[str, Floats]
    by_class: dict[str, Floats]


@dataclass(frozen=True)
class TestedUnits:
    """What a run decided about its units of one kind, and how this is scored.

    Attributes
    ----------
    decisions : DataFrame
        From `wsikd.evaluation.aggregate.decide`, with the fold.
    classes : tuple of str
        In the order of p_0, p_1, ...
    scoring : Scoring
        How decisions are scored.
    known : frozenset of str
        Classes that the cohort has, beside those.
    """

    __test__ = False  # pytest: the name is not that of tests

    decisions: pd.DataFrame
    classes: tuple[str, ...]
    scoring: Scoring
    known: frozenset[str] = frozenset()

    @cached_property
    def answers(self) -> Answers:
        return Answers.of(self.decisions, self.classes)

    @cached_property
    def matrices(self) -> NDArray[np.int64]:
        """Confusion matrices, (patients, K, K)."""
        return patient_matrices(self.decisions, len(self.classes))

    @cached_property
    def limits(self) -> Limits:
        """What the patients cannot tell; the published code draws units instead."""
        labels = labels_of(self.matrices)
        if self.scoring.as_released:
            absent = find_absent(labels, self.classes, self.known)
            return Limits(patients=len(self.decisions), absent=absent)
        return find_limits(labels, self.classes, self.known)

    def among(self, common: pd.Index) -> "TestedUnits":
        """Return those of the units that are in an index, in its order."""
        if common.equals(self.decisions.index):  # what is scored already need not be again
            return self
        return replace(self, decisions=self.decisions.loc[common])

    @cached_property
    def observed(self) -> Scores:
        """Score the test set itself; as released, the mean over draws where there are any."""
        scores = self.score(np.ones((1, len(self.matrices))))
        if self.scoring.as_released:
            for mine, drawn in zip(scores, self.drawn, strict=True):
                mine |= {name: values.mean(0, keepdims=True) for name, values in drawn.items()}
        return Scores(*({name: values[0] for name, values in one.items()} for one in scores))

    @cached_property
    def drawn(self) -> Scores:
        """Score drawn test sets; runs that have the same units get the same ones."""
        draws, seed = self.scoring.draws, self.scoring.seed
        if self.scoring.as_released:
            confusion = self.matrices.sum(0)
            return self.score_confusions(resample_classes_evenly(confusion, draws=draws, seed=seed))
        strata = find_strata(labels_of(self.matrices))
        return self.score(times_drawn(strata, draws=draws, seed=seed))

    def score(self, times: Times) -> Scores:
        """Score test sets that have every patient so often; `times` is (draws, patients)."""
        flat = self.matrices.reshape(len(self.matrices), len(self.classes) ** 2)
        confusions = (times @ flat.astype(times.dtype)).astype(np.float64)
        confusions = confusions.reshape(len(times), *self.matrices.shape[1:])
        overall, by_class = self.score_confusions(confusions)
        areas = areas_under_curves(self.answers, times)
        is_true = confusions.sum(-1) > 0
        overall["auroc"] = mean_over(is_true, areas)  # NaN if one of them is
        overall["ece"] = calibration_errors(self.answers, times)
        return Scores(overall, by_class | {"auroc": areas})

    def score_confusions(self, confusions: Floats) -> Scores:
        """Score test sets by what needs no probabilities; `confusions` are (draws, K, K)."""
        counted = self.matrices.sum((0, 2)) > 0  # the same in every draw, also as released
        overall, by_class = score(confusions, counted), score_classes(confusions)
        if self.scoring.ordered:
            places = [self.scoring.ordered.index(name) for name in self.classes]
            overall |= score_order(confusions, places)
        return Scores(overall, {name: by_class[name] for name in CLASS_METRICS if name in by_class})


def score_units(tested: TestedUnits, *, mixed_labels: int) -> UnitScores:
    """Score what a run decided; `mixed_labels` units have no one label and are not in it."""
    observed, drawn, limits = tested.observed, tested.drawn, tested.limits
    return UnitScores(
        count=len(tested.decisions),
        patients=len(tested.matrices),
        mixed_labels=mixed_labels,
        metrics=estimates(observed.overall, drawn.overall, limits),
        confusion=tested.matrices.sum(0).tolist(),
        reason=limits.reason,
        per_class=tuple(
            _score_class(tested, index, observed.by_class, drawn.by_class)
            for index in range(len(tested.classes))
        ),
        calibration=calibration_bins(tested.answers),
    )


def compare_units(first: TestedUnits, second: TestedUnits) -> tuple[dict[str, Estimate], Limits]:
    """Subtract the scores of a second run from those of a first, both of the same units."""
    pairs = [
        {name: np.stack([values, other.overall[name]], axis=-1) for name, values in one.items()}
        for (one, _), other in (
            (first.observed, second.observed),
            (first.drawn, second.drawn),
        )
    ]
    observed, drawn = (subtract(pair) for pair in pairs)
    return estimates(observed, drawn, first.limits), first.limits


def _score_class(
    tested: TestedUnits, index: int, observed: dict[str, Floats], drawn: dict[str, Floats]
) -> ClassScores:
    has_class = labels_of(tested.matrices)[:, index]
    limits = _limits_of_class(tested, index)
    metrics = {
        metric: estimates(
            {metric: observed[metric][index] if has_class.any() else np.nan},
            {metric: drawn[metric][:, index]} if metric in drawn else {},
            limits[metric],
        )[metric]
        for metric in CLASS_METRICS
    }
    return ClassScores(
        name=tested.classes[index],
        count=int(tested.matrices[:, index].sum()),
        patients=int(has_class.sum()),
        metrics=metrics,
    )


def _limits_of_class(tested: TestedUnits, index: int) -> dict[str, Limits]:
    """Return, by metric, what the patients cannot tell of a class.

    That others are rare does not matter, but to the area where they are all there is beside it;
    the recall depends on the patients of the class alone.
    """
    whole, labels = replace(tested.limits, absent=()), labels_of(tested.matrices)
    name, rare = tested.classes[index], whole.rare
    own = replace(whole, rare={name: rare[name]} if name in rare else {})
    rest = np.delete(labels, index, axis=1).any(1).sum()
    found = dict.fromkeys(CLASS_METRICS, own)
    found["auroc"] = whole if rest < FEWEST_PATIENTS else own
    if not tested.scoring.as_released:
        varied_little = int((are_hardly_drawn(labels) & labels[:, index]).sum())
        found["recall"] = replace(own, hardly_drawn=varied_little)
    return found
