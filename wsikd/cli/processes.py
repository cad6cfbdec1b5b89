"""Commands that may run in several processes, of which one speaks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wsikd.cli.console import say, tell_runs
from wsikd.runs import RunFolder
from wsikd.study import Study
from wsikd.training.determinism import deterministic
from wsikd.training.distributed import is_first, joined
from wsikd.training.settings import RunSettings
from wsikd.workspace import Workspace


@contextmanager
def joined_study(workspace: Workspace, settings: RunSettings) -> Iterator[Study]:
    """Yield the study of a workspace, in the group of the processes that were started together.

    Parameters
    ----------
    workspace : Workspace
        Its folder.
    settings : RunSettings
        Say on which device, and whether by the same bits each time.
    """
    with deterministic(asked=settings.deterministic), joined(settings.device):
        yield Study(workspace, say=say if is_first() else _be_silent)


def tell_joined(runs: Sequence[RunFolder]) -> None:
    """Print where finished runs are, in the first process."""
    if is_first():
        tell_runs(runs)


def _be_silent(_text: str) -> None:
    """Tell nothing: of several processes the first alone does."""
