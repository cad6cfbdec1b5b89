"""How much of what an epoch computed is padding, and how evenly it was dealt to processes."""

from collections.abc import Iterator

from wsikd.training.batch import Batch
from wsikd.training.distributed import gathered, process_count


class PixelCount:
    """Adds up the pixels of the batches of an epoch, step by step."""

    def __init__(self) -> None:
        self._padded = 0
        self._of_steps: list[int] = []

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches of a step, of which this process has its part."""
        self._of_steps.append(0)
        for batch in batches:
            padded, own = batch.count_pixels()
            self._padded += padded
            self._of_steps[-1] += own
            yield batch

    def tell(self) -> dict[str, float]:
        """Return what the log holds of it; all processes ask, the first one's answer counts.

        Returns
        -------
        dict of str to float
            `padding`: pixels that were computed as a multiple of those of the items; missing if
            equal. `balance`, of several processes: pixels of the items divided by what could have
            been computed while each step waited for the process with most.
        """
        parts = gathered((self._padded, self._of_steps))
        padded, own = (sum(part[0] for part in parts), sum(sum(part[1]) for part in parts))
        told = {}
        if padded > own:
            told["padding"] = round(padded / own, 4)
        if own and process_count() > 1:
            steps = zip(*(part[1] for part in parts), strict=True)
            told["balance"] = round(own / (len(parts) * sum(max(step) for step in steps)), 4)
        return told
