"""The numbers of `probe-metrics.json` as tables: one for machines, two for people."""

from typing import Any

import pandas as pd

from wsikd.evaluation.aggregate import Unit
from wsikd.evaluation.metrics import METRICS
from wsikd.evaluation.tables import format_estimate

_ABOUT = ("name", "control", "patches", "view", "magnification", "percent")


def arms_table(result: dict[str, Any]) -> pd.DataFrame:
    """Flatten the arms: one row per arm and unit, numbers unrounded (`probe-metrics.csv`)."""
    rows = []
    for arm in result["arms"]:
        for unit, summary in arm["units"].items():
            row = {name: arm[name] for name in _ABOUT}
            row |= {"runs": len(arm["runs"]), "unit": unit}
            row |= {name: summary[name] for name in ("count", "patients")}
            for name in METRICS:
                estimate = summary["metrics"][name]
                row |= {
                    name if key == "value" else f"{name}_{key}": estimate[key] for key in estimate
                }
            rows.append(row)
    return pd.DataFrame(rows)


def arm_summary(result: dict[str, Any], unit: Unit = "region") -> pd.DataFrame:
    """Give the table that is printed: one row per arm, in per cent with intervals.

    Balanced is the mean recall over the classes, and one-vs-rest the accuracy of `wsikd evaluate`.
    """
    return pd.DataFrame(
        {
            "arm": _shorten(arm["name"]),
            "patches" if unit == "region" else f"{unit}s": summary["count"],
            "runs": len(arm["runs"]),
            "right %": format_estimate(summary["metrics"]["plain_accuracy"]),
            "range over runs": _range(summary["metrics"]["plain_accuracy"]),
            "F1 %": format_estimate(summary["metrics"]["f1"]),
            "balanced %": format_estimate(summary["metrics"]["recall"]),
            "one-vs-rest %": format_estimate(summary["metrics"]["accuracy"]),
        }
        for arm in result["arms"]
        for summary in [arm["units"].get(unit)]
        if summary is not None
    )


def arm_differences(result: dict[str, Any], unit: Unit = "region") -> pd.DataFrame:
    """Give the comparisons as a printed table, in percentage points; empty if there are none."""
    return pd.DataFrame(
        {
            "arm": _shorten(difference["arm"]),
            "minus": _shorten(difference["reference"]),
            "right": format_estimate(difference["metrics"]["plain_accuracy"], signed=True),
            "F1": format_estimate(difference["metrics"]["f1"], signed=True),
            "balanced": format_estimate(difference["metrics"]["recall"], signed=True),
        }
        for difference in result["differences"]
        if difference["unit"] == unit
    )


def _shorten(name: str) -> str:
    return name.removeprefix("probe-")


def _range(estimate: dict[str, float]) -> str:
    low, high = 100 * estimate["lowest"], 100 * estimate["highest"]
    return "" if low == high else f"{low:.1f} to {high:.1f}"
