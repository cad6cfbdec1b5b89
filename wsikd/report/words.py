"""The answer in words, for readers who will not read a table."""

from typing import Any

from wsikd.evaluation.aggregate import Unit
from wsikd.evaluation.tables import Estimate, format_saving
from wsikd.geometry import format_magnification

METHOD_NAMES = {
    "teacher": "teacher",
    "baseline": "baseline",
    "student": "distilled student",
    "finetuned": "fine-tuned student",
    "control-colour": "colour alone",
    "control-majority": "most common class",
}

_PERCENT = "\N{NO-BREAK SPACE}%"

Run = dict[str, Any]


def run_title(run: Run) -> str:
    """Name a run for people.

    Examples
    --------
    >>> run = {"name": "student-1.25x", "method": "student", "magnification": 1.25, "seed": 1}
    >>> run_title(run)
    'distilled student at 1.25x, seed 1'
    """
    if run["method"] == "control":
        return METHOD_NAMES[run["name"]]
    title = METHOD_NAMES[run["method"]]
    if run["magnification"] is not None:
        title += f" at {format_magnification(run['magnification'])}"
    return f"{title}, seed {run['seed']}" if run["seed"] else title


def find_subject(metrics: dict[str, Any]) -> Run:
    """Give the run the report is about: the coarsest student, or the first run if there is none."""
    students = [run for run in metrics["runs"] if run["method"] == "student"]
    return min(students, key=_by_magnification) if students else dict(metrics["runs"][0])


def headline(metrics: dict[str, Any], unit: Unit = "slide") -> list[str]:
    """Say in a few sentences what reading at low magnification costs and saves.

    Parameters
    ----------
    metrics : dict
        What `wsikd.evaluation.evaluate_runs` wrote.
    unit : {"region", "slide", "patient"}
        What is counted as right or wrong.

    Returns
    -------
    list of str
        The first is the answer for the report's subject, then its comparisons and other models.
    """
    subject = find_subject(metrics)
    compared = {
        difference["reference"]: difference["metrics"]["plain_accuracy"]
        for difference in metrics["differences"]
        if (difference["run"], difference["unit"]) == (subject["name"], unit)
        and difference["metrics"]["plain_accuracy"]["value"] is not None
    }
    others = [
        run
        for run in metrics["runs"]
        if run["name"] != subject["name"]
        and (run["name"] in compared or run["method"] != "control")
    ]
    return [
        _answer(subject, unit),
        *(_about(run, unit, subject, compared.get(run["name"])) for run in others),
    ]


def _answer(run: Run, unit: Unit) -> str:
    summary = run["units"][unit]
    counted = f"{summary['count']} {unit}s"
    said = f"{_subject(run)} gets {_right(summary, f' of {counted}')}."
    saving = run["cost"]["times_cheaper_than_teacher"]
    if saving is not None and saving > 1:
        times = format_saving(saving).removesuffix("x")
        said += f" It needs {times} times less computation than the teacher."
    return said


def _about(run: Run, unit: Unit, subject: Run, difference: Estimate | None) -> str:
    said = f"{_subject(run)} gets {_right(run['units'][unit])}"
    if difference is None:
        return f"{said}."
    return f"{said}; the {METHOD_NAMES[subject['method']]} is {_compared(difference)}."


def _right(summary: dict[str, Any], of: str = "") -> str:
    share = summary["metrics"]["plain_accuracy"]
    said = f"{100 * share['value']:.0f}{_PERCENT}{of} right"
    if share["low"] is None:
        return said
    low, high = (f"{100 * share[end]:.0f}" for end in ("low", "high"))
    return f"{said} (95{_PERCENT} interval {low} to {high}{_PERCENT})"


def _compared(difference: Estimate) -> str:
    value, low, high = difference["value"], difference["low"], difference["high"]
    assert value is not None
    points = round(abs(100 * value))
    place = "above" if value > 0 else "below"
    said = (
        f"{points} percentage point{'' if points == 1 else 's'} {place} it"
        if points
        else "level with it"
    )
    if low is None or high is None:
        return said
    if _signed(low) == _signed(high):
        return f"{said}, whichever patients are drawn"
    verdict = "which chance could explain" if low <= 0 <= high else "more than chance explains"
    return f"{said} (95{_PERCENT} interval {_signed(low)} to {_signed(high)}), {verdict}"


def _subject(run: Run) -> str:
    if run["name"] == "control-colour":
        return "A classifier that sees colour alone"
    trained = ", trained without a teacher," if run["method"] == "baseline" else ""
    return f"The {run_title(run)}{trained}"


def _signed(share: float) -> str:
    text = f"{100 * share:+.0f}"
    return "0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _by_magnification(run: Run) -> tuple[float, int]:
    return run["magnification"] or 0.0, run["seed"]
