"""Which parts of a network behave as in training: those that learn, and no others."""

from torch import nn


def train_unfrozen(model: nn.Module) -> None:
    """Put a network into train mode, and every part of it that is frozen into eval mode.

    A part is frozen if it has parameters, of its own or of its parts, and none of them requires a
    gradient. In train mode batch normalisation follows the batches it sees, and dropout drops,
    whether or not a gradient reaches them; so a part that does not learn must be in eval mode.

    Parameters
    ----------
    model : nn.Module
        Changed in place. A part without parameters behaves as the part that holds it.

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm1d(2).requires_grad_(False), nn.Linear(2, 2))
    >>> train_unfrozen(model)
    >>> model.training, model[0].training, model[1].training
    (True, False, True)
    """
    model.train()
    for part in model.modules():
        learns = [parameter.requires_grad for parameter in part.parameters()]
        if learns and not any(learns):
            part.eval()
