"""What a model says of every region of val and test: the table that evaluation starts from."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd
import torch

from wsikd.geometry import Size
from wsikd.models import Network
from wsikd.models.cost import count_macs
from wsikd.runs import PREDICTION_COLUMNS, probability_columns
from wsikd.training.feeds.regions import Feed

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem


@torch.no_grad()
def predict(
    model: Network, feed: Feed, items: Sequence["RegionItem"], classes: Sequence[str]
) -> pd.DataFrame:
    """Read every region once, without augmentation.

    Parameters
    ----------
    model : Network
        On the device of `feed`; put into eval mode.
    feed : Feed
        Yields `items` as the view "image".
    items : sequence of RegionItem
        The rows, in order.
    classes : sequence of str
        What p_0, p_1, ... stand for.

    Returns
    -------
    DataFrame
        `PREDICTION_COLUMNS`, then the probabilities; width and height in pixels that were read,
        gmacs the cost of reading them.
    """
    model.eval()
    cost = cache(lambda size: count_macs(model, size) / 1e9)
    rows = []
    for item, batch in zip(items, feed.batches(range(len(items))), strict=True):
        image = batch["image"]  # (1, 3, height, width)
        size = Size(image.shape[3], image.shape[2])
        probabilities = model(image).logits.softmax(1)[0].tolist()
        about = (item.slide_id, item.patient_id, item.region_id, item.split, item.label)
        rows.append((*about, *size, cost(size), *probabilities))
    return pd.DataFrame(rows, columns=[*PREDICTION_COLUMNS, *probability_columns(classes)])
