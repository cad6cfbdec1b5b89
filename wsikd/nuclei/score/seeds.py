"""Segmenters compared: mean scores over test images, with intervals over patients.

A segmenter is what runs that differ in their seed alone have in common. Its value is the mean over
them and over the images; the interval is of that value when the patients are drawn again, all runs
scored on the same drawn patients. It tells nothing of other seeds, for which the spread over those
that were run stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from wsikd.evaluation.bootstrap import resample_patients
from wsikd.evaluation.estimates import estimates
from wsikd.evaluation.metrics import Floats
from wsikd.evaluation.notes import Footnotes, Limits
from wsikd.evaluation.seed_tables import format_range
from wsikd.evaluation.seeds import SeedSettings
from wsikd.evaluation.tables import format_difference, write_cells
from wsikd.nuclei.score.documents import (
    About,
    ScoredSegmenter,
    SegmenterDifference,
    SegmenterEstimate,
)
from wsikd.nuclei.score.metrics import NUCLEI_METRICS

_SHOWN = {"dice": "Dice", "aji": "AJI", "precision": "precision", "recall": "recall", "f1": "F1"}


@dataclass(frozen=True)
class SegmenterRows:
    """A segmenter and its scores on images.

    Attributes
    ----------
    about : About
        What it is.
    rows : DataFrame
        A row for each run and image: run, image, patient_id and `NUCLEI_METRICS`.
    """

    about: About
    rows: pd.DataFrame


def score_segmenter(segmenter: SegmenterRows, settings: SeedSettings) -> ScoredSegmenter:
    """Average the scores of a segmenter; `settings` are those of the bootstrap."""
    observed, drawn = _means([segmenter.rows], settings)
    of_runs, limits = _by_metric(observed), _limits(segmenter.rows)
    found = estimates(_by_metric(observed.mean(0)), _by_metric(drawn.mean(1)), limits)
    metrics = {
        name: SegmenterEstimate(
            **estimate.model_dump(),
            lowest=float(of_runs[name].min()),
            highest=float(of_runs[name].max()),
            deviation=float(of_runs[name].std(ddof=1)) if len(observed) > 1 else None,
        )
        for name, estimate in found.items()
    }
    return ScoredSegmenter(
        **segmenter.about.model_dump(),
        **_counts(segmenter.rows),
        metrics=metrics,
        reason=limits.reason,
    )


def compare_segmenters(
    segmenter: SegmenterRows, reference: SegmenterRows, settings: SeedSettings
) -> SegmenterDifference:
    """Subtract the scores of a reference, both of the same images and under the same draws."""
    runs = segmenter.rows["run"].nunique()
    observed, drawn = _means([segmenter.rows, reference.rows], settings)
    limits = _limits(segmenter.rows)
    difference, redrawn = (
        means[..., :runs, :].mean(-2) - means[..., runs:, :].mean(-2) for means in (observed, drawn)
    )
    return SegmenterDifference(
        segmenter=segmenter.about.name,
        reference=reference.about.name,
        **_counts(segmenter.rows),
        metrics=estimates(_by_metric(difference), _by_metric(redrawn), limits),
        reason=limits.reason,
    )


def segmenter_summary(
    segmenters: Sequence[ScoredSegmenter], footnotes: Footnotes | None = None
) -> pd.DataFrame:
    """Return the table that is printed: one row per segmenter, in per cent with intervals.

    The notes beside the numbers go to `footnotes`, whose marks the table then has.
    """
    others = {f"{title} %": name for name, title in _SHOWN.items() if name != "dice"}
    return pd.DataFrame(
        {
            "segmenter": one.name,
            "labels": one.labels,
            "images": one.images,
            "runs": len(one.runs),
            **write_cells(one.metrics, {"Dice %": "dice"}, footnotes),
            "range over runs": format_range(one.metrics["dice"]),
            **write_cells(one.metrics, others, footnotes),
        }
        for one in segmenters
    )


def segmenter_differences(
    differences: Sequence[SegmenterDifference], footnotes: Footnotes | None = None
) -> pd.DataFrame:
    """Return the comparisons as a printed table, in percentage points; empty if there are none."""
    columns = {title: name for name, title in _SHOWN.items()}
    return pd.DataFrame(
        {
            "segmenter": one.segmenter,
            "minus": one.reference,
            **write_cells(one.metrics, columns, footnotes, write=format_difference),
        }
        for one in differences
    )


def _means(tables: Sequence[pd.DataFrame], settings: SeedSettings) -> tuple[Floats, Floats]:
    """Average over images: observed (runs, metrics), and drawn (draws, runs, metrics)."""
    values = np.concatenate([_values(table) for table in tables], axis=1)
    observed: Floats = values.mean(0)
    by_image = tables[0].drop_duplicates("image").sort_values("image")
    codes, patients = pd.factorize(by_image["patient_id"], sort=True)
    sums = np.zeros((len(patients), 1 + observed.size))  # first the patient's images
    flat = values.reshape(len(values), -1)
    np.add.at(sums, codes, np.concatenate([np.ones((len(values), 1)), flat], axis=1))
    drawn = resample_patients(sums, draws=settings.draws, seed=settings.bootstrap_seed)
    return observed, (drawn[:, 1:] / drawn[:, :1]).reshape(-1, *observed.shape)


def _values(rows: pd.DataFrame) -> Floats:
    """Arrange the scores of runs: (images, runs, metrics), each by name."""
    images, runs = rows["image"].nunique(), rows["run"].nunique()
    assert len(rows) == images * runs, "every run scores every image once"
    ordered = rows.sort_values(["image", "run"])[list(NUCLEI_METRICS)]
    return ordered.to_numpy(np.float64).reshape(images, runs, len(NUCLEI_METRICS))


def _by_metric(values: Floats) -> dict[str, Floats]:
    return {name: values[..., place] for place, name in enumerate(NUCLEI_METRICS)}


def _limits(rows: pd.DataFrame) -> Limits:
    return Limits(patients=rows["patient_id"].nunique())


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {"images": rows["image"].nunique(), "patients": rows["patient_id"].nunique()}
