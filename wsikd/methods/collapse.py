"""Collapse of a joint embedding: branches that agree since all their projections are alike."""

import torch
from torch import Tensor, nn

from wsikd.methods.joint_embedding import Approach, encoders_of
from wsikd.models.unet import UNet
from wsikd.training.feeds.batches import shuffle
from wsikd.training.feeds.patches import PatchFeed
from wsikd.training.trainee import Say

_WATCHED = 256  # pairs whose projections are looked at after every epoch
_COLLAPSED = 0.05  # spread of projections: 1 in random directions, 0 if all are alike


@torch.no_grad()
def watch_spread(approach: Approach, feed: PatchFeed, say: Say) -> dict[str, float]:
    """Look at what the branches make of some patches, and warn if they are all alike."""
    model = approach.model.eval()
    chosen = shuffle(len(feed), seed=0, epoch=0)[:_WATCHED]
    seen: dict[str, list[Tensor]] = {}
    for batch in feed.batches(chosen):
        if isinstance(model, UNet):
            made = {"primary": model.encoder.embed(batch["primary"].pixels)}
        else:
            made = {name: model.project(name, batch[name].pixels) for name in encoders_of(model)}
        for name, projections in made.items():
            seen.setdefault(name, []).append(projections)
    found = {f"{name}_spread": spread(torch.cat(parts)) for name, parts in seen.items()}
    for name, value in found.items():
        if value < _COLLAPSED and not isinstance(model, UNet):
            say(
                f"projections have collapsed: their {name.replace('_', ' ')} is {value:.2g}, of 1 "
                "in random directions; raise --batch, lower --learning-rate, or choose another "
                "--objective"
            )
    return found


def spread(projections: Tensor) -> float:
    """Measure how far projections are from being all alike.

    Parameters
    ----------
    projections : Tensor, shape (N, D)

    Returns
    -------
    float
        Standard deviation of a coordinate after rows are brought to length 1, times √D: 1 for
        random directions, 0 where all are the same.

    Examples
    --------
    >>> spread(torch.ones(4, 8)), round(spread(torch.eye(64)), 2)
    (0.0, 0.99)
    """
    directions = nn.functional.normalize(projections.double(), dim=1)
    variance = directions.var(dim=0, correction=0).mean()
    return float((variance * projections.shape[1]).sqrt())
