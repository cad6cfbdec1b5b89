"""How much the choice of the epoch decides: what a run gets right at the other one that it kept."""

from collections.abc import Iterable, Iterator

from wsikd.evaluation.aggregate import aggregate, decide
from wsikd.evaluation.folds import PooledRun
from wsikd.runs import Checkpoint

NOTABLE = 0.10
"""Share of slides by which two epochs of a run differ notably."""

OTHER: dict[Checkpoint, Checkpoint] = {"best": "last", "last": "best"}
"""The other of the two models that a run keeps."""

_EPOCHS = {"best": "the epoch of its best validation loss", "last": "its last epoch"}


def notes_on_epochs(
    scored: Iterable[PooledRun], others: Iterable[PooledRun], checkpoint: Checkpoint
) -> Iterator[str]:
    """Yield a sentence on each run that gets notably more or fewer slides right at another epoch.

    A loss of validation rises with a network's certainty, even where it decides better: the epoch
    that it chooses may be an early one, of a network that says one class alone. A comparison with
    such a run tells of the choice, not of the training.

    Parameters
    ----------
    scored, others : iterable of PooledRun
        The runs as they are scored, and with the predictions of the other checkpoint, where there
        are any.
    checkpoint : {"best", "last"}
        The one that is scored.
    """
    other = OTHER[checkpoint]
    by_name = {run.name: run for run in others if not run.is_control}
    for run in scored:
        if run.name in by_name:
            here, there = _share_right(run), _share_right(by_name[run.name])
            if abs(here - there) >= NOTABLE:
                yield (
                    f"{run.name} gets {100 * here:.0f} % of slides right at {_EPOCHS[checkpoint]}, "
                    f"which is scored, and {100 * there:.0f} % at {_EPOCHS[other]}; compare by "
                    f"--checkpoint {other} as well"
                )


def _share_right(run: PooledRun) -> float:
    decided = decide(aggregate(run.predictions, run.classes, "slide"), run.classes)
    return float((decided["truth"] == decided["prediction"]).mean()) if len(decided) else 0.0
