"""Score all runs on the test patients, with confidence intervals and controls.

Example: wsikd evaluate
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, show_json, show_tables
from wsikd.evaluation import (
    EvaluateSettings,
    Footnotes,
    detail_table,
    difference_table,
    summary_table,
)
from wsikd.recipes import Footprint
from wsikd.study import Study

FOOTPRINTS = {
    "evaluate": Footprint(
        reads=("slides.csv", "runs/*/predictions*.csv"), writes=("runs/metrics.json",)
    )
}


def evaluate(
    *,
    json: bool = False,
    settings: Annotated[EvaluateSettings, Flat] = EvaluateSettings(),
    workspace: InWorkspace,
) -> int:
    """Score all runs on the test patients, with confidence intervals and controls.

    Parameters
    ----------
    json
        print all numbers as JSON, as they are in runs/metrics.json
    """
    metrics = Study(workspace, say=say).evaluate(settings)
    if json:
        show_json(metrics.model_dump(mode="json"))
    else:
        footnotes = Footnotes()
        makers = (summary_table, detail_table, difference_table)
        tables = [make(metrics, footnotes) for make in makers]  # all, before the notes are read
        show_tables(*tables, footnotes=footnotes.lines)
    for note in metrics.notes:
        say(f"note: {note}")
    for left in metrics.left_out:
        say(f"left out: {left.name}, {left.reason}")
    return 0
