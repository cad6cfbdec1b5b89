"""How much the choice of the epoch decides: what a run gets right at the other one that it kept."""

from collections.abc import Iterator

import pandas as pd

from wsikd.errors import CheckpointError
from wsikd.evaluation.aggregate import aggregate, decide
from wsikd.evaluation.folds import EvaluatedSplit, PooledRun, pool_predictions
from wsikd.runs import Checkpoint

NOTABLE = 0.10
"""Share of slides by which two epochs of a run differ notably."""

_OTHER: dict[Checkpoint, Checkpoint] = {"best": "last", "last": "best"}
_EPOCHS = {"best": "the epoch of its best validation loss", "last": "its last epoch"}


def note_on_epoch(
    run: PooledRun, decided: pd.DataFrame, checkpoint: Checkpoint, split: EvaluatedSplit
) -> Iterator[str]:
    """Yield a sentence on a run that gets notably more or fewer slides right at another epoch.

    A loss of validation rises with a network's certainty, even where it decides better: the epoch
    that it chooses may be an early one, of a network that says one class alone. A comparison with
    such a run tells of the choice, not of the training.

    Parameters
    ----------
    run : PooledRun
        As it is scored.
    decided : DataFrame
        What was decided of its slides, with the columns truth and prediction.
    checkpoint : {"best", "last"}
        The epoch that is scored.
    split : {"test", "val"}
        The regions that are scored.
    """
    other = _OTHER[checkpoint]
    if run.is_control:  # which has no epochs
        return
    try:
        tables = [folder.read_predictions(other) for folder in run.folders]
    except CheckpointError:  # none, or damaged: what is scored stands without it
        return
    table = aggregate(pool_predictions(run.made, tables, split), run.classes, "slide")
    here, there = _share_right(decided), _share_right(decide(table, run.classes))
    if abs(here - there) >= NOTABLE:
        yield (
            f"{run.name} gets {100 * here:.0f} % of slides right at {_EPOCHS[checkpoint]}, which "
            f"is scored, and {100 * there:.0f} % at {_EPOCHS[other]}; compare by "
            f"wsikd evaluate --checkpoint {other} as well"
        )


def _share_right(decided: pd.DataFrame) -> float:
    return float((decided["truth"] == decided["prediction"]).mean()) if len(decided) else 0.0
