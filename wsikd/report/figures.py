"""The report's charts, as SVG in data URIs.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; every method has its own
marker as well.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from wsikd.evaluation import Metrics
from wsikd.evaluation.aggregate import Unit
from wsikd.evaluation.documents import CalibrationBin, EvaluatedRun
from wsikd.evaluation.tables import format_number
from wsikd.geometry import format_magnification
from wsikd.report.words import CONTROL_TITLES, run_title
from wsikd.runs import KINDS

COLOURS = {
    "teacher": "#0072B2",
    "baseline": "#D55E00",
    "student": "#009E73",
    "finetuned": "#CC79A7",
    "control": "#6b6f76",
}
MARKERS = {"teacher": "s", "baseline": "o", "student": "D", "finetuned": "^"}

_TITLES = (*(kind.title for kind in KINDS.values()), *CONTROL_TITLES.values())  # of the legend

_COST_PANELS = {"accuracy": "accuracy", "f1": "F1"}

_STYLE: dict[Any, Any] = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b6f76",
    "axes.labelcolor": "#22252a",
    "xtick.color": "#4a4e55",
    "ytick.color": "#4a4e55",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "svg.hashsalt": "wsikd",  # the same numbers give the same file
}
_DODGE = 1.09  # runs of one magnification cost the same; drawn side by side, this ratio apart


def draw_cost_chart(metrics: Metrics, unit: Unit = "slide") -> str:
    """Draw accuracy and F1 against computation, as paper 2's figure 3.

    Returns
    -------
    str
        A data URI of an SVG.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10.4, 4.3), layout="constrained")
        axes = figure.subplots(1, 2, sharey=False)
        for axis, (metric, title) in zip(axes, _COST_PANELS.items(), strict=True):
            _draw_cost_panel(axis, metrics.runs, metric, unit)
            axis.set_title(f"{title}, %", loc="left", fontweight="bold", fontsize=11.5, pad=24)
        handles, labels = axes[0].get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        shown = [name for name in _TITLES if name in by_label]
        figure.legend(
            [by_label[name] for name in shown],
            shown,
            loc="outside lower center",
            ncols=6,
            frameon=False,
        )
        return _data_uri(figure)


def describe_intervals(metrics: Metrics, unit: Unit = "slide") -> str:
    """Tell which points of the cost chart have an interval, and why others have none."""
    models = [run.units[unit] for run in metrics.runs if not run.kind.is_control]
    lacking = [
        scores
        for scores in models
        if any(scores.metrics[name].interval is None for name in _COST_PANELS)
    ]
    if not lacking:
        return f"{unit.capitalize()}s, with 95\N{NO-BREAK SPACE}% intervals."
    some = "some " if len(lacking) < len(models) else ""
    why = "; ".join(dict.fromkeys(scores.reason for scores in lacking if scores.reason))
    without = f"{unit.capitalize()}s, {some}without 95\N{NO-BREAK SPACE}% intervals"
    return f"{without}: {why}." if why else f"{without}."


def draw_learning_curves(
    runs: Sequence[tuple[EvaluatedRun, Sequence[Sequence[dict[str, Any]]]]],
) -> str:
    """Draw the loss of every epoch, one panel per run, one pair of lines per fold.

    Parameters
    ----------
    runs : sequence of (EvaluatedRun, sequence of logs)
        A run of `metrics.json` and `RunFolder.read_log` of each of its folds.

    Returns
    -------
    str
        A data URI of an SVG.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _panels([run for run, _ in runs], height=2.3)
        for axis, (run, logs) in zip(axes, runs, strict=True):
            _draw_losses(axis, logs, COLOURS[run.method])
        figure.supxlabel("epoch", fontsize=10.5)
        figure.supylabel("loss", fontsize=10.5)
        return _data_uri(figure)


def draw_reliability(metrics: Metrics, unit: Unit = "slide") -> str | None:
    """Draw how often each model is right against how sure it is, one panel per model.

    Returns
    -------
    str or None
        A data URI of an SVG; None for metrics of an older version, which do not tell.
    """
    runs = [run for run in metrics.runs if not run.kind.is_control and run.units[unit].calibration]
    if not runs:
        return None
    with mpl.rc_context(_STYLE):
        figure, axes = _panels(runs, height=2.9)
        for axis, run in zip(axes, runs, strict=True):
            _draw_bins(axis, run.units[unit].calibration, COLOURS[run.method])
        figure.supxlabel("how sure: probability of the class that was read, %", fontsize=10.5)
        figure.supylabel("how often right, %", fontsize=10.5)
        return _data_uri(figure)


def _panels(runs: Sequence[EvaluatedRun], *, height: float) -> tuple[Figure, list[Axes]]:
    """Make a panel for each run, titled, in rows of about the same length, of 4 at most."""
    rows = -(-len(runs) // 4)
    columns = -(-len(runs) // rows)
    figure = Figure(figsize=(10.4, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, run in zip(axes, runs, strict=False):
        axis.set_title(run_title(run), loc="left", fontsize=10)
    for axis in axes[len(runs) :]:
        axis.remove()
    return figure, list(axes[: len(runs)])


def _draw_bins(axis: Axes, bins: Sequence[CalibrationBin], colour: str) -> None:
    total = sum(one.count for one in bins)
    axis.plot([0, 100], [0, 100], color=COLOURS["control"], linestyle=(0, (4, 3)), linewidth=1)
    axis.scatter(
        [100 * one.confidence for one in bins],
        [100 * one.right for one in bins],
        s=[20 + 400 * one.count / total for one in bins],  # points squared: the dot's area
        color=colour,
        alpha=0.75,
        linewidth=0,
        clip_on=False,
        zorder=3,
    )
    axis.set(xlim=(0, 100), ylim=(-3, 103), xticks=(0, 25, 50, 75, 100), aspect="equal")
    axis.set_yticks((0, 25, 50, 75, 100))


def _draw_cost_panel(axis: Axes, runs: Sequence[EvaluatedRun], metric: str, unit: Unit) -> None:
    models = [run for run in runs if not run.kind.is_control]
    lowest = 1.0
    for run, flops in _side_by_side(models):
        estimate = run.units[unit].metrics[metric]
        value = estimate.known
        low, high = estimate.interval or (value, value)
        axis.errorbar(
            flops,
            100 * value,
            yerr=[[100 * (value - low)], [100 * (high - value)]] if estimate.interval else None,
            fmt=MARKERS[run.method],
            color=COLOURS[run.method],
            label=run.kind.title,
            markersize=8,
            elinewidth=1.8,
            capsize=4,
        )
        lowest = min(lowest, low)
    for run, dashes in zip(_controls(runs), ((6, 3), (2, 2)), strict=False):
        value = run.units[unit].metrics[metric].known
        axis.axhline(
            100 * value, color=COLOURS["control"], linestyle=(0, dashes), label=run_title(run)
        )
        lowest = min(lowest, value)
    axis.set_ylim(max(-2.0, 100 * lowest - 6), 103)
    _label_computation(axis, models)


def _controls(runs: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    return [run for run in runs if run.kind.is_control]


def _side_by_side(models: Sequence[EvaluatedRun]) -> Iterator[tuple[EvaluatedRun, float]]:
    for magnification in {run.magnification for run in models}:
        group = [run for run in models if run.magnification == magnification]
        for place, run in enumerate(group):
            yield run, run.cost.gflops_per_slide * _DODGE ** (2 * place - len(group) + 1)


def _label_computation(axis: Axes, models: Sequence[EvaluatedRun]) -> None:
    flops = [run.cost.gflops_per_slide for run in models]
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlim(min(flops) / 2, max(flops) * 2)
    axis.set_xlabel("computation per slide, GFLOPs (logarithmic)")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value)))
    axis.grid(visible=False, axis="x")
    named = {run.magnification or 0.0: run.cost.gflops_per_slide for run in models}
    top = axis.secondary_xaxis("top")
    top.set_xscale("log")
    top.set_xticks(list(named.values()), [format_magnification(name) for name in named])
    top.xaxis.set_minor_locator(NullLocator())
    top.tick_params(length=0)


def _draw_losses(axis: Axes, logs: Sequence[Sequence[dict[str, Any]]], colour: str) -> None:
    for log in logs:
        epochs = [entry["epoch"] for entry in log]
        axis.plot(epochs, [entry["train"]["loss"] for entry in log], color=colour, alpha=0.45)
        checked = [entry for entry in log if entry["val"]]
        if checked:
            losses = [entry["val"]["loss"] for entry in checked]
            best = min(range(len(losses)), key=losses.__getitem__)
            axis.plot([entry["epoch"] for entry in checked], losses, color=colour, linestyle="--")
            axis.plot(checked[best]["epoch"], losses[best], "o", color=colour, markersize=5)
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))


def _data_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
