"""The numbers of `metrics.json` as tables: one for machines, three for people."""

from collections.abc import Callable, Mapping

import pandas as pd

from wsikd.evaluation.aggregate import UNITS, Unit
from wsikd.evaluation.documents import Estimate, Metrics
from wsikd.evaluation.metrics import METRICS
from wsikd.evaluation.notes import Footnotes
from wsikd.evaluation.ordered import ORDERED_METRICS
from wsikd.evaluation.scores import PROBABILITY_METRICS
from wsikd.geometry import format_magnification

_UNKNOWN = Estimate(value=None, low=None, high=None)  # what older documents do not have


def metrics_table(metrics: Metrics) -> pd.DataFrame:
    """Flatten the metrics: one row per run and unit, numbers unrounded (`metrics.csv`)."""
    names = (*METRICS, *PROBABILITY_METRICS, *(ORDERED_METRICS if metrics.is_ordered else ()))
    rows = []
    for run in metrics.runs:
        for unit in UNITS:
            scores = run.units[unit]
            row: dict[str, object] = {
                "run": run.name,
                "method": run.method,
                "magnification": run.magnification,
                "seed": run.seed,
                "unit": unit,
                "count": scores.count,
                "patients": scores.patients,
            }
            for name in names:
                estimate = scores.metrics.get(name, _UNKNOWN)
                row |= {
                    name: estimate.value,
                    f"{name}_low": estimate.low,
                    f"{name}_high": estimate.high,
                    f"{name}_note": estimate.note,
                }
            rows.append(row | run.cost.model_dump())
    return pd.DataFrame(rows)


def summary_table(
    metrics: Metrics, footnotes: Footnotes | None = None, *, unit: Unit = "slide"
) -> pd.DataFrame:
    """Return the table that is printed: one row per run, shares in per cent with their intervals.

    Balanced is the balanced accuracy, which is the mean recall over the classes.

    Parameters
    ----------
    metrics : Metrics
        From `wsikd.evaluation.evaluate_runs`.
    footnotes : Footnotes, optional
        Gets the notes beside the numbers, which the table then marks.
    unit : {"region", "slide", "patient"}
        What the shares are of.
    """
    columns = {"right %": "plain_accuracy", "balanced %": "recall", "F1 %": "f1"}
    return pd.DataFrame(
        {
            "run": run.name,
            f"{unit}s": run.units[unit].count,
            **write_cells(run.units[unit].metrics, columns, footnotes),
            "GFLOPs per slide": format_number(run.cost.gflops_per_slide),
            "cheaper": format_saving(run.cost.times_cheaper_than_teacher),
        }
        for run in metrics.runs
    )


def detail_table(
    metrics: Metrics, footnotes: Footnotes | None = None, *, unit: Unit = "slide"
) -> pd.DataFrame:
    """Return the second table that is printed: one-vs-rest scores, calibration, and order.

    Accuracy and AUROC are of each class against the rest. Kappa is Cohen's with quadratic weights,
    the distance is in classes; both are there for classes that have an order alone.
    """
    accuracy = "accuracy_as_released" if metrics.is_as_released else "accuracy"
    shares, numbers = {"accuracy %": accuracy, "AUROC %": "auroc", "ECE %": "ece"}, {}
    if metrics.is_ordered:
        numbers = {"quadratic kappa": "quadratic_kappa", "distance": "distance"}
    return pd.DataFrame(
        {
            "run": run.name,
            **write_cells(run.units[unit].metrics, shares, footnotes),
            **write_cells(run.units[unit].metrics, numbers, footnotes, write=format_plain),
        }
        for run in metrics.runs
    )


def difference_table(
    metrics: Metrics, footnotes: Footnotes | None = None, *, unit: Unit = "slide"
) -> pd.DataFrame:
    """Return the comparisons as a printed table, in percentage points; empty if there are none."""
    columns = {"right": "plain_accuracy", "balanced": "recall", "F1": "f1"}
    return pd.DataFrame(
        {
            "run": difference.run,
            "minus": difference.reference,
            **write_cells(difference.metrics, columns, footnotes, write=format_difference),
        }
        for difference in metrics.differences
        if difference.unit == unit
    )


def write_cells(
    estimates: Mapping[str, Estimate],
    columns: Mapping[str, str],
    footnotes: Footnotes | None,
    *,
    write: Callable[[Estimate], str] | None = None,
) -> dict[str, str]:
    """Write estimates by the titles of their columns, each with the mark of its note."""
    cells = {}
    for title, name in columns.items():
        estimate = estimates.get(name, _UNKNOWN)
        mark = footnotes.mark(estimate.note) if footnotes else ""
        cells[title] = f"{(write or format_estimate)(estimate)} {mark}".strip()
    return cells


def format_estimate(estimate: Estimate, *, signed: bool = False) -> str:
    """Write a share and its interval in per cent.

    Examples
    --------
    >>> format_estimate(Estimate(value=0.8125, low=0.7, high=0.9))
    '81.2 (70.0 to 90.0)'
    >>> format_estimate(Estimate(value=0.02, low=None, high=None), signed=True)
    '+2.0'
    """
    style = "+.1f" if signed else ".1f"
    return _with_interval(estimate, lambda share: _number(100 * share, style))


def format_difference(estimate: Estimate) -> str:
    """Write a difference of shares and its interval in percentage points."""
    return format_estimate(estimate, signed=True)


def format_plain(estimate: Estimate) -> str:
    """Write a number that is no share, and its interval.

    Examples
    --------
    >>> format_plain(Estimate(value=0.8125, low=0.07, high=0.9))
    '0.81 (0.07 to 0.90)'
    """
    return _with_interval(estimate, lambda number: _number(number, ".2f"))


def _with_interval(estimate: Estimate, write: Callable[[float], str]) -> str:
    if estimate.value is None:
        return ""
    if estimate.interval is None:
        return write(estimate.value)
    low, high = estimate.interval
    return f"{write(estimate.value)} ({write(low)} to {write(high)})"


def format_number(value: float) -> str:
    """Write a positive number with three significant digits, without an exponent.

    Examples
    --------
    >>> format_number(12345.6), format_number(0.6789), format_number(0)
    ('12,300', '0.679', '0')
    """
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def format_saving(ratio: float | None) -> str:
    """Write how many times cheaper a run is than the teacher.

    Examples
    --------
    >>> format_saving(64.2), format_saving(1.0), format_saving(None)
    ('64x', '1x', '')
    """
    return "" if ratio is None else format_magnification(float(f"{ratio:.2g}"))


def _number(value: float, style: str) -> str:
    text = format(value, style)
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
