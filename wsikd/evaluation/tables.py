"""The numbers of `metrics.json` as tables: one for machines, one for people."""

import pandas as pd

from wsikd.evaluation.aggregate import UNITS, Unit
from wsikd.evaluation.documents import Estimate, Metrics
from wsikd.evaluation.metrics import METRICS
from wsikd.geometry import format_magnification


def metrics_table(metrics: Metrics) -> pd.DataFrame:
    """Flatten the metrics: one row per run and unit, numbers unrounded (`metrics.csv`)."""
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
            for name in METRICS:
                estimate = scores.metrics[name]
                row |= {
                    name: estimate.value,
                    f"{name}_low": estimate.low,
                    f"{name}_high": estimate.high,
                }
            rows.append(row | run.cost.model_dump())
    return pd.DataFrame(rows)


def summary_table(metrics: Metrics, unit: Unit = "slide") -> pd.DataFrame:
    """Return the table that is printed: one row per run, shares in per cent with their intervals.

    Parameters
    ----------
    metrics : Metrics
        From `wsikd.evaluation.evaluate_runs`.
    unit : {"region", "slide", "patient"}
        What the shares are of.
    """
    accuracy = "accuracy_as_released" if metrics.is_as_released else "accuracy"
    return pd.DataFrame(
        {
            "run": run.name,
            f"{unit}s": run.units[unit].count,
            "accuracy %": format_estimate(run.units[unit].metrics[accuracy]),
            "F1 %": format_estimate(run.units[unit].metrics["f1"]),
            "right %": format_estimate(run.units[unit].metrics["plain_accuracy"]),
            "GFLOPs per slide": format_number(run.cost.gflops_per_slide),
            "cheaper": format_saving(run.cost.times_cheaper_than_teacher),
        }
        for run in metrics.runs
    )


def difference_table(metrics: Metrics, unit: Unit = "slide") -> pd.DataFrame:
    """Return the comparisons as a printed table, in percentage points; empty if there are none."""
    return pd.DataFrame(
        {
            "run": difference.run,
            "minus": difference.reference,
            "accuracy": format_estimate(difference.metrics["accuracy"], signed=True),
            "F1": format_estimate(difference.metrics["f1"], signed=True),
        }
        for difference in metrics.differences
        if difference.unit == unit
    )


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
    value, low, high = (
        _percent(end, style) for end in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})" if low else value


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


def _percent(value: float | None, style: str) -> str:
    if value is None:
        return ""
    text = format(100 * value, style)
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
