"""Segmenters compared: mean scores over test images, with intervals over patients.

A segmenter is what runs that differ in their seed alone have in common. Its value is the mean over
them and over the images; the interval is of that value when the patients are drawn again, all runs
scored on the same drawn patients. It says nothing of other seeds, for which the spread over those
that were run stands beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wsikd.evaluation import Estimate
from wsikd.evaluation.bootstrap import resample_patients
from wsikd.evaluation.estimates import estimates
from wsikd.evaluation.metrics import Floats
from wsikd.evaluation.seeds import SeedSettings
from wsikd.evaluation.tables import format_estimate
from wsikd.nuclei.score.metrics import NUCLEI_METRICS

_SHOWN = {"dice": "Dice", "aji": "AJI", "precision": "precision", "recall": "recall", "f1": "F1"}


def score_segmenter(rows: pd.DataFrame, settings: SeedSettings) -> dict[str, Any]:
    """Average the scores of a segmenter.

    Parameters
    ----------
    rows : DataFrame
        A row for each run and image: run, image, patient_id and `NUCLEI_METRICS`.
    settings : SeedSettings
        Of the bootstrap.

    Returns
    -------
    dict
        images, patients, metrics, and reason: why no interval exists. A metric is {value, low,
        high, lowest, highest, deviation}; the last three are of the runs, the very last is their
        standard deviation, None of a single run.
    """
    observed, drawn, reason = _means([rows], settings)
    found = estimates(_by_metric(observed.mean(0)), _by_metric(drawn.mean(1)) if drawn.size else {})
    metrics: dict[str, dict[str, float | None]] = {
        name: estimate.model_dump() for name, estimate in found.items()
    }
    for name, values in _by_metric(observed).items():
        metrics[name] |= {
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
        }
    return {**_counts(rows), "metrics": metrics, "reason": reason}


def compare_segmenters(
    rows: pd.DataFrame, reference: pd.DataFrame, settings: SeedSettings
) -> dict[str, Any]:
    """Subtract the scores of a reference, both of the same images and under the same draws.

    Returns
    -------
    dict
        images, patients, metrics ({value, low, high} each) and reason.
    """
    runs = rows["run"].nunique()
    observed, drawn, reason = _means([rows, reference], settings)
    difference, redrawn = (
        means[..., :runs, :].mean(-2) - means[..., runs:, :].mean(-2) for means in (observed, drawn)
    )
    found = estimates(_by_metric(difference), _by_metric(redrawn) if drawn.size else {})
    metrics = {name: estimate.model_dump() for name, estimate in found.items()}
    return {**_counts(rows), "metrics": metrics, "reason": reason}


def segmenter_summary(result: Mapping[str, Any]) -> pd.DataFrame:
    """Give the table that is printed: one row per segmenter, in per cent with intervals.

    Parameters
    ----------
    result : mapping
        With what `score_segmenter` gives in segmenters, each with name, runs and labels.
    """
    return pd.DataFrame(
        {
            "segmenter": one["name"],
            "labels": one["labels"],
            "images": one["images"],
            "runs": len(one["runs"]),
            "Dice %": _format(one["metrics"]["dice"]),
            "range over runs": _range(one["metrics"]["dice"]),
            **{
                f"{title} %": _format(one["metrics"][name])
                for name, title in _SHOWN.items()
                if name != "dice"
            },
        }
        for one in result["segmenters"]
    )


def segmenter_differences(result: Mapping[str, Any]) -> pd.DataFrame:
    """Give the comparisons as a printed table, in percentage points; empty if there are none."""
    return pd.DataFrame(
        {
            "segmenter": one["segmenter"],
            "minus": one["reference"],
            **{title: _format(one["metrics"][name], signed=True) for name, title in _SHOWN.items()},
        }
        for one in result["differences"]
    )


def _means(
    tables: Sequence[pd.DataFrame], settings: SeedSettings
) -> tuple[Floats, Floats, str | None]:
    """Average over images: observed (runs, metrics), and drawn (draws, runs, metrics) if any."""
    values = np.concatenate([_values(table) for table in tables], axis=1)
    observed: Floats = values.mean(0)
    by_image = tables[0].drop_duplicates("image").sort_values("image")
    codes, patients = pd.factorize(by_image["patient_id"], sort=True)
    if len(patients) < 2:
        reason = f"an interval needs at least 2 patients, got {len(patients)}"
        return observed, np.zeros((0, *observed.shape)), reason
    sums = np.zeros((len(patients), 1 + observed.size))  # first the patient's images
    flat = values.reshape(len(values), -1)
    np.add.at(sums, codes, np.concatenate([np.ones((len(values), 1)), flat], axis=1))
    drawn = resample_patients(sums, draws=settings.draws, seed=settings.bootstrap_seed)
    return observed, (drawn[:, 1:] / drawn[:, :1]).reshape(-1, *observed.shape), None


def _values(rows: pd.DataFrame) -> Floats:
    """Arrange the scores of runs: (images, runs, metrics), each by name."""
    images, runs = rows["image"].nunique(), rows["run"].nunique()
    assert len(rows) == images * runs, "every run scores every image once"
    ordered = rows.sort_values(["image", "run"])[list(NUCLEI_METRICS)]
    return ordered.to_numpy(np.float64).reshape(images, runs, len(NUCLEI_METRICS))


def _by_metric(values: Floats) -> dict[str, Floats]:
    return {name: values[..., place] for place, name in enumerate(NUCLEI_METRICS)}


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {"images": rows["image"].nunique(), "patients": rows["patient_id"].nunique()}


def _format(estimate: Mapping[str, float | None], *, signed: bool = False) -> str:
    ends = {key: estimate[key] for key in ("value", "low", "high")}
    return format_estimate(Estimate(**ends), signed=signed)


def _range(estimate: Mapping[str, float]) -> str:
    low, high = 100 * estimate["lowest"], 100 * estimate["highest"]
    return "" if low == high else f"{low:.1f} to {high:.1f}"
