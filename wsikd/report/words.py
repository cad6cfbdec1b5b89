"""The answer in words, for readers who will not read a table."""

from wsikd.evaluation import Estimate, Metrics
from wsikd.evaluation.aggregate import Unit
from wsikd.evaluation.documents import Difference, EvaluatedRun, UnitScores
from wsikd.evaluation.strata import FEWEST_PATIENTS
from wsikd.evaluation.tables import format_saving
from wsikd.geometry import format_magnification
from wsikd.runs import run_name

CONTROL_TITLES = {"control-colour": "colour alone", "control-majority": "most common class"}

_PERCENT = "\N{NO-BREAK SPACE}%"
_NO_WIDTH = "(an interval of no width, which tells nothing of other patients)"
_TOO_FEW = "which so few patients cannot tell from chance"
_TOO_NARROW = "too narrow, perhaps, for so few patients"


def run_title(run: EvaluatedRun) -> str:
    """Name a run for people.

    Examples
    --------
    >>> about = {"classes": (), "folds": (), "units": {}, "cost": None}
    >>> run = {"name": "student-1.25x-seed1", "method": "student"}
    >>> run |= {"magnification": 1.25, "seed": 1}
    >>> run_title(EvaluatedRun.model_construct(**run, **about))
    'distilled student at 1.25x, seed 1'
    """
    if run.kind.is_control:
        return CONTROL_TITLES[run.name]
    title = run.kind.title
    if run.magnification is not None:
        title += f" at {format_magnification(run.magnification)}"
    if run.seed:
        title += f", seed {run.seed}"
    usual = run_name(run.method, run.magnification, seed=run.seed)
    return title if run.name == usual else f"{title} ({run.name})"


def find_subject(metrics: Metrics) -> EvaluatedRun:
    """Return what the report is about: the coarsest student, else the first run."""
    students = [run for run in metrics.runs if run.kind.is_distilled]
    return min(students, key=_by_magnification) if students else metrics.runs[0]


def headline(metrics: Metrics, unit: Unit = "slide") -> list[str]:
    """Tell in a few sentences what reading at low magnification costs and saves.

    Parameters
    ----------
    metrics : Metrics
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
        difference.reference: difference
        for difference in metrics.differences
        if (difference.run, difference.unit) == (subject.name, unit)
        and difference.metrics["plain_accuracy"].value is not None
    }
    others = [
        run
        for run in metrics.runs
        if run.name != subject.name and (run.name in compared or not run.kind.is_control)
    ]
    return [
        _answer(subject, unit, _teacher_of(subject, metrics)),
        *(_about(run, unit, subject, compared.get(run.name)) for run in others),
    ]


def _teacher_of(run: EvaluatedRun, metrics: Metrics) -> str:
    """Name the run whose computation a run's own is held against."""
    for teacher in metrics.runs:
        if teacher.name == run.teacher:
            its = "" if teacher.kind.is_teacher else ", its teacher"
            return f"the {run_title(teacher)}{its}"
    return "the teacher"  # of numbers from before it was recorded


def _answer(run: EvaluatedRun, unit: Unit, teacher: str) -> str:
    scores = run.units[unit]
    counted = f"{scores.count} {unit}s"
    said = f"{_subject(run, run.kind.aside)} gets {_right(scores, f' of {counted}')}."
    saving = run.cost.times_cheaper_than_teacher
    if saving is not None and saving > 1:
        times = format_saving(saving).removesuffix("x")
        said += f" It needs {times} times less computation than {teacher}."
    return said


def _about(
    run: EvaluatedRun, unit: Unit, subject: EvaluatedRun, difference: Difference | None
) -> str:
    has_taught = run.name == subject.teacher and not run.kind.is_teacher
    who = _subject(run, "which taught this student" if has_taught else run.kind.aside)
    said = f"{who} gets {_right(run.units[unit])}"
    if difference is None:
        return f"{said}."
    return f"{said}; the {subject.kind.title} is {_compared(difference)}."


def _right(scores: UnitScores, of: str = "") -> str:
    share = scores.metrics["plain_accuracy"]
    said = f"{100 * share.known:.0f}{_PERCENT}{of} right"
    if share.interval is None:
        return said
    if share.low == share.high:
        return f"{said} {_NO_WIDTH}"
    low, high = (f"{100 * end:.0f}" for end in share.interval)
    doubt = f", {_TOO_NARROW}" if _is_doubtful(share, scores.patients) else ""
    return f"{said} (95{_PERCENT} interval {low} to {high}{_PERCENT}{doubt})"


def _compared(difference: Difference) -> str:
    """Tell a difference, and whether chance explains it where the patients can tell that."""
    estimate = difference.metrics["plain_accuracy"]
    said = _apart(estimate.known)
    if difference.patients < FEWEST_PATIENTS:
        return f"{said}, {_TOO_FEW}"
    if estimate.interval is None:
        return said
    low, high = estimate.interval
    if low == high:
        return f"{said} {_NO_WIDTH}"
    between = f"{said} (95{_PERCENT} interval {_signed(low)} to {_signed(high)})"
    if _is_doubtful(estimate, difference.patients):
        return f"{between}, {_TOO_FEW}"
    if _signed(low) == _signed(high):
        return f"{said}, whichever patients are drawn"
    verdict = "which chance could explain" if low <= 0 <= high else "more than chance explains"
    return f"{between}, {verdict}"


def _apart(value: float) -> str:
    points = round(abs(100 * value))
    if not points:
        return "level with it"
    place = "above" if value > 0 else "below"
    return f"{points} percentage point{'' if points == 1 else 's'} {place} it"


def _is_doubtful(estimate: Estimate, patients: int) -> bool:
    """Tell whether too few patients, in all or of a class, stand behind an interval."""
    return patients < FEWEST_PATIENTS or estimate.note is not None


def _subject(run: EvaluatedRun, aside: str) -> str:
    if run.name == "control-colour":
        return "A classifier that sees colour alone"
    return f"The {run_title(run)}, {aside}," if aside else f"The {run_title(run)}"


def _signed(share: float) -> str:
    text = f"{100 * share:+.0f}"
    return "0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _by_magnification(run: EvaluatedRun) -> tuple[float, int]:
    return run.magnification or 0.0, run.seed
