"""The two branches of paired self-supervision."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from wsikd.models.images import Images
from wsikd.models.network import Network

BranchName = Literal["primary", "privileged"]


class Branch(nn.Module):
    """An encoder, and the expander that projects what it sees.

    Parameters
    ----------
    encoder : Network
        Reads the images; its classes, if it knows any, are not asked for.
    expander : nn.Module
        From embeddings of shape (B, D) to projections of shape (B, P).
    """

    def __init__(self, encoder: Network, expander: nn.Module) -> None:
        super().__init__()
        self.encoder, self.expander = encoder, expander

    def embed(self, images: Images | Tensor) -> Tensor:
        """Read images of shape (B, 3, H, W) to embeddings of shape (B, D)."""
        return self.encoder.embed(images)

    def forward(self, images: Images | Tensor) -> Tensor:
        """Read images of shape (B, 3, H, W) to projections of shape (B, P)."""
        projection: Tensor = self.expander(self.embed(images))
        return projection


class Branches(nn.Module):
    """One branch for routine images, one for what is known in training alone [1]_.

    Parameters
    ----------
    primary : Branch
        Reads what there will be in use, too; its encoder is the result.
    privileged : Branch, optional
        Reads the images that only training has; left out, the primary branch reads both, with
        shared weights.

    References
    ----------
    .. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for
           Routine Histopathology Data". 2023. arXiv:2303.10656.
    """

    def __init__(self, primary: Branch, privileged: Branch | None = None) -> None:
        super().__init__()
        self.primary = primary
        self.privileged = primary if privileged is None else privileged

    def embed(self, branch: BranchName, images: Images | Tensor) -> Tensor:
        """Read images of shape (B, 3, H, W) to embeddings of shape (B, D)."""
        return self._branch(branch).embed(images)

    def project(self, branch: BranchName, images: Images | Tensor) -> Tensor:
        """Read images of shape (B, 3, H, W) to projections of shape (B, P)."""
        projection: Tensor = self._branch(branch)(images)
        return projection

    def forward(self, views: Mapping[str, Images | Tensor]) -> dict[str, Tensor]:
        """Project every view: "privileged" by the branch of that name, all others by the primary.

        Parameters
        ----------
        views : mapping of str to Images or Tensor, shape (B, 3, H, W)
            Sizes may differ between views.

        Returns
        -------
        dict of str to Tensor, shape (B, P)
            Under the views' names.
        """
        return {
            name: self.project("privileged" if name == "privileged" else "primary", images)
            for name, images in views.items()
        }

    def _branch(self, name: BranchName) -> Branch:
        return self.privileged if name == "privileged" else self.primary
