"""What one stain alone does to light, by colour deconvolution.

References
----------
.. [1] Ruifrok, Johnston. "Quantification of histochemical staining by color deconvolution". 2001.
       Anal Quant Cytol Histol 23:291-299.
"""

import torch
from torch import Tensor

STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Absorbance of red, green and blue by haematoxylin, eosin and DAB [1]_."""

_DARKEST = 1 / 255


def haematoxylin_light(colours: Tensor) -> Tensor:
    """Compute the red light that haematoxylin would leave, were it the only stain.

    Parameters
    ----------
    colours : Tensor, shape (B, 3, h, w)
        RGB in 0 to 1, white is no stain.

    Returns
    -------
    Tensor, shape (B, 1, h, w)
        In 0 to 1; 1 where there is no haematoxylin.

    Examples
    --------
    >>> white_and_haematoxylin = torch.exp(-torch.tensor([[0.0, 0, 0], [0.65, 0.70, 0.29]]))
    >>> light = haematoxylin_light(white_and_haematoxylin[:, :, None, None])
    >>> [round(float(left), 3) for left in light.flatten()]  # exp(-0.65)
    [1.0, 0.522]
    """
    vectors = torch.tensor(STAINS, dtype=torch.float64)
    amounts_from_absorbance = torch.linalg.inv(vectors)[:, 0].to(colours)  # (3,), haematoxylin's
    absorbance = -torch.log(colours.clamp(min=_DARKEST))
    amount = torch.einsum("bchw,c->bhw", absorbance, amounts_from_absorbance).clamp(min=0)
    return torch.exp(-STAINS[0][0] * amount)[:, None]
