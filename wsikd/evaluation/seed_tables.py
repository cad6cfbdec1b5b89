"""The numbers of `probe-metrics.json` as tables: one for machines, two for people."""

from collections.abc import Sequence

import pandas as pd

from wsikd.evaluation.aggregate import Unit
from wsikd.evaluation.metrics import METRICS
from wsikd.evaluation.notes import Footnotes
from wsikd.evaluation.seeds import About, ScoredSeeds, SeedDifference, SeedEstimate
from wsikd.evaluation.tables import format_difference, write_cells


def seeds_table(scored: Sequence[ScoredSeeds]) -> pd.DataFrame:
    """Flatten the scores: one row per group and unit, numbers unrounded (`probe-metrics.csv`)."""
    rows = []
    for group in scored:
        for unit, scores in group.units.items():
            row = group.model_dump(include=set(About.model_fields))
            row |= {"runs": len(group.runs), "unit": unit}
            row |= {"count": scores.count, "patients": scores.patients}
            for name in METRICS:
                told = scores.metrics[name].model_dump()
                row |= {name if key == "value" else f"{name}_{key}": told[key] for key in told}
            rows.append(row)
    return pd.DataFrame(rows)


def seeds_summary(
    scored: Sequence[ScoredSeeds], footnotes: Footnotes | None = None, *, unit: Unit = "region"
) -> pd.DataFrame:
    """Return the table that is printed: one row per group, in per cent with intervals.

    Balanced is the mean recall over the classes, and one-vs-rest the accuracy of `wsikd evaluate`.
    The notes beside the numbers go to `footnotes`, whose marks the table then has.
    """
    others = {"F1 %": "f1", "balanced %": "recall", "one-vs-rest %": "accuracy"}
    return pd.DataFrame(
        {
            "arm": _shorten(group.name),
            "patches" if unit == "region" else f"{unit}s": scores.count,
            "runs": len(group.runs),
            **write_cells(scores.metrics, {"right %": "plain_accuracy"}, footnotes),
            "range over runs": format_range(scores.metrics["plain_accuracy"]),
            **write_cells(scores.metrics, others, footnotes),
        }
        for group in scored
        for scores in [group.units.get(unit)]
        if scores is not None
    )


def seeds_differences(
    differences: Sequence[SeedDifference],
    footnotes: Footnotes | None = None,
    *,
    unit: Unit = "region",
) -> pd.DataFrame:
    """Return the comparisons as a printed table, in percentage points; empty if there are none."""
    columns = {"right": "plain_accuracy", "F1": "f1", "balanced": "recall"}
    return pd.DataFrame(
        {
            "arm": _shorten(difference.arm),
            "minus": _shorten(difference.reference),
            **write_cells(difference.metrics, columns, footnotes, write=format_difference),
        }
        for difference in differences
        if difference.unit == unit
    )


def format_range(estimate: SeedEstimate) -> str:
    """Write the range over the runs in per cent; nothing where all are the same."""
    low, high = 100 * estimate.lowest, 100 * estimate.highest
    return "" if low == high else f"{low:.1f} to {high:.1f}"


def _shorten(name: str) -> str:
    return name.removeprefix("probe-")
