"""What a model says of every region of val and test: the table that evaluation starts from."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch

from wsikd.geometry import Size
from wsikd.models import Network
from wsikd.runs import PREDICTION_COLUMNS, probability_columns
from wsikd.training.batch import Batch
from wsikd.training.display import Display
from wsikd.training.distributed import gathered
from wsikd.training.feeds.regions import RegionFeed
from wsikd.training.machine import Machine
from wsikd.training.scarce import Means

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem


@torch.no_grad()
def predict(
    model: Network,
    feed: RegionFeed,
    items: Sequence["RegionItem"],
    classes: Sequence[str],
    machine: Machine,
    *,
    gmacs: Callable[[Size], float],
) -> pd.DataFrame | None:
    """Read every region once, without augmentation.

    Of several processes each reads a part of them.

    Parameters
    ----------
    model : Network
        On the device of `feed`; put into eval mode.
    feed : RegionFeed
        Yields `items` as the view "image".
    items : sequence of RegionItem
        The rows, in order.
    classes : sequence of str
        What p_0, p_1, ... stand for.
    machine : Machine
        Where it is computed.
    gmacs : callable
        Returns what reading a size costs, see `gmacs_of`.

    Returns
    -------
    DataFrame or None
        `PREDICTION_COLUMNS`, then the probabilities; width and height in pixels that were read,
        gmacs the cost of reading them. In the first process, the others have nothing.
    """
    model.eval()
    read, means = machine.reading(model), Means(feed, machine, Display("predictions").say)
    rows: dict[int, tuple[str | float, ...]] = {}

    def look(batch: Batch) -> None:
        probabilities = read(batch["image"]).logits.softmax(1).tolist()
        sizes = batch["image"].each_size()
        for index, size, row in zip(batch.indices, sizes, probabilities, strict=True):
            item = items[index]
            about = (item.slide_id, item.patient_id, item.region_id, item.split, item.label)
            rows[index] = (*about, *size, gmacs(size), *row)

    for batch in feed.batches(range(len(items))):
        means.compute(batch, look)
    parts = gathered(rows)
    if not parts:
        return None
    rows = dict(row for part in parts for row in part.items())
    columns = [*PREDICTION_COLUMNS, *probability_columns(classes)]
    return pd.DataFrame([rows[index] for index in range(len(items))], columns=columns)
