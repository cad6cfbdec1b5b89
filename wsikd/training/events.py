"""The numbers of `log.jsonl` for TensorBoard, where that is installed."""

from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Events:
    """Writes the losses of each epoch beside the log; does nothing without the package tensorboard.

    Parameters
    ----------
    folder : Path
        Of the run, so that `tensorboard --logdir runs` shows runs by their names.
    done : int
        Epochs that an earlier call has closed; what it wrote of later ones is not shown any more.
    active : bool
        Of several processes the first alone writes.
    """

    def __init__(self, folder: Path, done: int, *, active: bool) -> None:
        self._writer: Any = None
        if active and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

            self._writer = SummaryWriter(folder, purge_step=done + 1)

    def add(self, entry: dict[str, Any]) -> None:
        """Write what the log says of an epoch."""
        if self._writer is None:
            return
        for part in ("train", "val", "watched"):
            for name, value in entry.get(part, {}).items():
                self._writer.add_scalar(f"{part}/{name}", value, entry["epoch"])
        self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
