"""The state of a training that was not finished, so that it goes on as if it had never stopped."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from wsikd.errors import CheckpointError
from wsikd.files import replacing
from wsikd.models.weights import find_other_tensor

Write = Callable[[Path], None]
"""Writes something to a path, as it was when this was made."""

FORMAT = "wsikd-state"
FORMAT_VERSION = 1

_ANEW = "remove the run's folder to start anew"


@dataclass
class Progress:
    """How far a training has come.

    Order and augmentation are functions of seed, epoch and index, so this is all the randomness
    there is to keep.

    Attributes
    ----------
    epoch : int
        Epochs that are complete.
    position : int
        Items of the epoch under way that the weights have learnt from.
    steps : int
        Optimizer steps in all.
    sums : dict of str to float
        Loss and terms, each summed over those items that had any, and how many these were.
    padded, own : int
        Pixels of the batches of the epoch under way, with those of the padding and without; of the
        process that wrote it, if several train.
    epoch_seconds, seconds : float
        Time spent in the epoch under way, and in the complete ones.
    best_loss : float or None
        Lowest validation loss; None before the first, or without validation items.
    best_epoch : int
        The epoch that had it, from 1; 0 before the first.
    """

    epoch: int = 0
    position: int = 0
    steps: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    padded: int = 0
    own: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0

    def count(self, padded: int, own: int) -> None:
        """Add the pixels of a step."""
        self.padded += padded
        self.own += own

    def close_epoch(self) -> None:
        """Count the epoch under way as complete."""
        self.epoch += 1
        self.position, self.sums = 0, {}
        self.padded = self.own = 0
        self.seconds, self.epoch_seconds = self.seconds + self.epoch_seconds, 0.0


def keep_state(model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> Write:
    """Return what writes the state as it is now, however training goes on after that.

    It replaces the state in a folder: one file, so never half of each.
    """
    state = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "progress": asdict(progress),
        "model": _copy(model.state_dict()),
        "optimizer": _copy(optimizer.state_dict()),
    }

    def write(folder: Path) -> None:
        with replacing(_state_file(folder)) as temporary:
            torch.save(state, temporary)

    return write


class Writer:
    """Writes checkpoints in a thread, one after the other, while training goes on.

    To be used in a `with`, which waits for the last one at its end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def write(self, each: Sequence[Callable[[], None]]) -> None:
        """Write these in their order; wait for those before, and raise what they ran into."""
        self.wait()
        if each:
            self._pending = self._pool.submit(_call, list(each))

    def wait(self) -> None:
        """Wait until all is written.

        Raises
        ------
        OSError, UnwritableError
            If it could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.wait()
        finally:
            self._pool.shutdown()


def load_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Bring model and optimizer to the state in `folder`; without one they stay as they are.

    Raises
    ------
    CheckpointError
        If the file is damaged, of another format version or of another network.
    """
    path = _state_file(folder)
    if not path.exists():
        return Progress()
    state = _read(path)
    found = (state.get("format"), state.get("version"))
    if found != (FORMAT, FORMAT_VERSION):
        raise CheckpointError(
            f"{path}: expected {FORMAT} version {FORMAT_VERSION}, "
            f"found {found[0]} version {found[1]}"
        )
    other = find_other_tensor(model.state_dict(), state["model"])
    if other is None:
        model.load_state_dict(state["model"])
        try:
            optimizer.load_state_dict(state["optimizer"])
        except ValueError:  # other layers are trained
            other = "weights of the optimizer are others"
    if other is not None:
        raise CheckpointError(f"{path}: must be the state of this network; {other}; {_ANEW}")
    return Progress(**state["progress"])


def _state_file(folder: Path) -> Path:
    return folder / "training.pt"


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError):
        state = None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: must be a training state, is damaged; {_ANEW}")
    return state


def _copy(value: Any) -> Any:
    """Copy the tensors of nested containers, to memory that training does not write to."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copy(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy(each) for each in value)
    return value


def _call(each: list[Callable[[], None]]) -> None:
    for write in each:
        write()
