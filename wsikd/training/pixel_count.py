"""How much of what an epoch computed is padding, and how evenly it was dealt to processes."""

from collections.abc import Iterator

from wsikd.training.batch import Batch
from wsikd.training.checkpoints import Progress
from wsikd.training.distributed import gathered, process_count


class PixelCount:
    """Counts the pixels of the batches of an epoch, step by step."""

    def __init__(self) -> None:
        self._of_steps: list[int] = []
        self._padded = 0

    @property
    def of_step(self) -> tuple[int, int]:
        """Pixels of the last step, those of the padding among them, and without."""
        return self._padded, self._of_steps[-1]

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches of a step, of which this process has its part."""
        self._of_steps.append(0)
        self._padded = 0
        for batch in batches:
            padded, own = batch.count_pixels()
            self._padded += padded
            self._of_steps[-1] += own
            yield batch

    def tell(self, progress: Progress) -> dict[str, float]:
        """Return what the log holds of it; all processes ask, the first one's answer counts.

        Parameters
        ----------
        progress : Progress
            Has the pixels of the whole epoch, those of calls that were stopped among them.

        Returns
        -------
        dict of str to float
            `padding`: pixels that were computed as a multiple of those of the items; missing if
            equal. `balance`, of several processes: pixels of the items divided by what could have
            been computed while each step waited for the process with most, since the last stop.
        """
        parts = gathered((progress.padded, progress.own, self._of_steps))
        padded, own = sum(part[0] for part in parts), sum(part[1] for part in parts)
        told = {}
        if padded > own:
            told["padding"] = round(padded / own, 4)
        steps = list(zip(*(part[2] for part in parts), strict=True))
        if any(map(sum, steps)) and process_count() > 1:
            could = len(parts) * sum(max(step) for step in steps)
            told["balance"] = round(sum(map(sum, steps)) / could, 4)
        return told
