"""What is put on a frozen encoder to see what it knows: one linear layer, or nearest neighbours."""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsikd.evaluation.metrics import Floats
from wsikd.models import Network
from wsikd.training.batch import Batch
from wsikd.training.distributed import gathered, part_of
from wsikd.training.feeds.batches import shuffle
from wsikd.training.feeds.patches import Distortion, PatchFeed, PatchView
from wsikd.training.settings import RunSettings

_BATCH = 256  # images that are read at a time


@torch.no_grad()
def embed_patches(
    encoder: Network,
    view: PatchView,
    rows: Sequence[int],
    device: torch.device,
    *,
    distortion: Distortion | None = None,
    epoch: int | None = None,
) -> Tensor:
    """Read patches with a frozen encoder; of several processes each reads a part of them.

    Parameters
    ----------
    encoder : Network
        On the device; put into eval mode.
    view : PatchView
        The patches as this encoder reads them.
    rows : sequence of int
        Which of them, at least one.
    device : torch.device
        Where the encoder is.
    distortion : Distortion, optional
        How they are varied in this epoch.
    epoch : int, optional
        Without one they stay as they are.

    Returns
    -------
    Tensor, shape (len(rows), D)
        Embeddings, on the CPU; in the first process, the others have nothing.
    """
    encoder.eval()
    feed = PatchFeed({"image": view}, rows, _BATCH, device, distortion=distortion)
    return read_shared(feed, lambda batch: encoder.embed(batch["image"].pixels), epoch=epoch)


def read_shared(
    feed: PatchFeed, read: Callable[[Batch], Tensor], *, epoch: int | None = None
) -> Tensor:
    """Read all patches of a feed; of several processes each reads a part of them.

    Parameters
    ----------
    feed : PatchFeed
        The patches.
    read : callable
        Returns one row for each patch of a batch.
    epoch : int, optional
        In which they are varied; without one they stay as they are.

    Returns
    -------
    Tensor, shape (N, D)
        On the CPU; in the first process, the others have nothing.
    """
    own = part_of(list(range(len(feed))))
    parts = gathered([read(batch).cpu() for batch in feed.batches(own, epoch=epoch)])
    rows = [row for part in parts for row in part]
    return torch.cat(rows) if rows else torch.empty(0)


def fit_linear(
    known: Tensor,
    epochs: Iterable[Tensor],
    labels: Tensor,
    class_count: int,
    settings: RunSettings,
) -> nn.Linear:
    """Fit one linear layer by cross-entropy, with Adam from weights of zero.

    Parameters
    ----------
    known : Tensor, shape (N, D)
        Training embeddings; their mean and standard deviation standardise all embeddings, which is
        part of the layer afterwards.
    epochs : iterable of Tensor, shape (N, D)
        The training embeddings of each epoch, which may be of varied images.
    labels : Tensor of int, shape (N,)
        Class indices.
    class_count : int
        Number of classes K.
    settings : RunSettings
        Learning rate, weight decay, seed of the order, and items per step.

    Returns
    -------
    nn.Linear
        From plain embeddings to logits, as it is after the last epoch.
    """
    mean, std = known.mean(0), known.std(0, correction=0)
    std = torch.where(std > 1e-6 * std.max(), std, torch.ones_like(std))
    layer = nn.Linear(known.shape[1], class_count)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.Adam(
        layer.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,  # such small steps are mostly overhead
    )
    for epoch, embeddings in enumerate(epochs, start=1):
        order = torch.tensor(shuffle(len(labels), seed=settings.seed, epoch=epoch))
        for start in range(0, len(order), settings.items_per_step):
            batch = order[start : start + settings.items_per_step]
            optimizer.zero_grad()
            logits = layer((embeddings[batch] - mean) / std)
            torch.autograd.backward(F.cross_entropy(logits, labels[batch]))
            optimizer.step()
    return _fold_in(layer, mean, std)


def nearest_neighbours(
    known: Tensor, labels: Tensor, asked: Tensor, class_count: int, *, k: int
) -> Floats:
    """Let the `k` training embeddings of the largest cosine similarity vote, each with one vote.

    Parameters
    ----------
    known : Tensor, shape (N, D)
        Training embeddings; with fewer than `k` of them, all vote.
    labels : Tensor of int, shape (N,)
        Class indices.
    asked : Tensor, shape (M, D)
        Embeddings to classify.
    class_count : int
        Number of classes K.
    k : int
        Number of neighbours.

    Returns
    -------
    ndarray of float, shape (M, K)
        Shares of the votes.
    """
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415  a second to load

    neighbours = KNeighborsClassifier(min(k, len(known)), metric="cosine", algorithm="brute")
    neighbours.fit(known.numpy(), labels.numpy())
    shares = torch.zeros(len(asked), class_count, dtype=torch.float64)
    shares[:, neighbours.classes_] = torch.from_numpy(neighbours.predict_proba(asked.numpy()))
    votes: Floats = shares.numpy()
    return votes


@torch.no_grad()
def _fold_in(layer: nn.Linear, mean: Tensor, std: Tensor) -> nn.Linear:
    """Make a layer on standardised embeddings one on plain embeddings."""
    weight = layer.weight.double() / std.double()  # (K, D)
    layer.bias.copy_(layer.bias.double() - weight @ mean.double())
    layer.weight.copy_(weight)
    return layer.requires_grad_(False)
