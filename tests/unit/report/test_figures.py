import base64
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from wsikd.report.figures import (
    _draw_losses,
    describe_intervals,
    draw_cost_chart,
    draw_learning_curves,
    draw_reliability,
)


def svg_of(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return ElementTree.fromstring(base64.b64decode(data))


def log(losses, val=True):
    return [
        {"epoch": epoch, "train": {"loss": loss}, "val": {"loss": loss + 0.1} if val else {}}
        for epoch, loss in enumerate(losses, start=1)
    ]


def test_the_cost_chart_is_an_svg_and_the_same_for_the_same_numbers(metrics):
    assert svg_of(draw_cost_chart(metrics)).tag.endswith("svg")
    assert draw_cost_chart(metrics) == draw_cost_chart(metrics)


def test_the_cost_chart_stands_missing_intervals_and_a_single_run(changed):
    def without_intervals(values):
        values["runs"] = values["runs"][:1]
        for estimate in values["runs"][0]["units"]["slide"]["metrics"].values():
            estimate["low"] = estimate["high"] = None

    svg_of(draw_cost_chart(changed(without_intervals)))


def without_interval(reason, *places):
    """Take the intervals of the runs at these places, for a reason."""

    def change(values):
        for place in places:
            slide = values["runs"][place]["units"]["slide"]
            about = {"metrics": {}, "reason": reason}
            for name, estimate in slide["metrics"].items():
                about["metrics"][name] = estimate | {"low": None, "high": None}
            values["runs"][place]["units"]["slide"] = slide | about

    return change


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ((), "Slides, with 95 % intervals."),
        ((4, 5), "Slides, with 95 % intervals."),  # the controls are lines
        ((1, 3), "Slides, some without 95 % intervals: 'c' has 1."),
        ((0, 1, 2, 3), "Slides, without 95 % intervals: 'c' has 1."),
    ],
)
def test_points_without_a_bar_are_explained(changed, places, told):
    described = describe_intervals(changed(without_interval("'c' has 1", *places)))
    assert described.replace("\N{NO-BREAK SPACE}", " ") == told


def test_the_cost_chart_moves_with_the_numbers(metrics, changed):
    dearer = changed(lambda values: values["runs"][1]["cost"].update(gflops_per_slide=20.0))
    assert draw_cost_chart(dearer) != draw_cost_chart(metrics)


@pytest.mark.parametrize("epochs", [1, 2, 3, 40])
def test_learning_curves_count_epochs_in_whole_numbers(epochs):
    figure = Figure()
    axis = figure.subplots()
    _draw_losses(axis, [log([1.0] * epochs)], "black")
    low, high = axis.get_xlim()
    ticks = [tick for tick in axis.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_learning_curves_stand_folds_without_validation_or_log(metrics):
    runs = [(metrics.runs[0], [log([1.0, 0.5]), log([0.9], val=False), []])]
    svg_of(draw_learning_curves(runs * 5))


def with_bins(*bins):
    """Put bins of (confidence, right, count) into the slides of every run."""

    def change(values):
        for run in values["runs"]:
            run["units"]["slide"] = run["units"]["slide"] | {
                "calibration": [
                    {"low": 0.0, "high": 1.0, "confidence": sure, "right": right, "count": count}
                    for sure, right, count in bins
                ]
            }

    return change


def test_the_reliability_plot_moves_with_the_bins(changed):
    first, second = (
        draw_reliability(changed(with_bins((0.7, right, 5), (0.9, 0.8, 30))))
        for right in (0.5, 0.6)
    )
    assert svg_of(first).tag.endswith("svg")
    assert first != second


def test_numbers_of_an_older_version_have_no_reliability_plot(metrics):
    assert draw_reliability(metrics) is None
