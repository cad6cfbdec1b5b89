"""Pairings: which second image of the same tissue the encoder of the first one learns from."""

from collections.abc import Callable

from wsikd.data.pairs.crop_pad import CropPadPartner
from wsikd.data.pairs.downsample import DownsamplePartner
from wsikd.data.pairs.magnification import MagnificationPartner
from wsikd.data.pairs.mask import open_mask
from wsikd.data.pairs.modality import open_modality
from wsikd.data.pairs.partner import Partner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.pairs.symmetric import SymmetricPartner
from wsikd.data.patches import PatchSource
from wsikd.runs import Branch

__all__ = ["PAIRS", "PairingSettings", "Partner", "Shown", "open_partner", "open_views"]

Shown = PatchSource | Partner
"""What a branch sees: both have pack, size, magnification and fingerprint."""

PAIRS: dict[str, Callable[[PairingSettings, PatchSource], Partner]] = {
    "modality": open_modality,
    "crop_pad": CropPadPartner,
    "downsample": DownsamplePartner,
    "magnification": MagnificationPartner,
    "mask": open_mask,
    "symmetric": SymmetricPartner,
}
"""Name of a pairing, as for `--pairing`, to what finds the second image of each patch."""


def open_views(settings: PairingSettings, source: PatchSource) -> dict[Branch, Shown]:
    """Find what each branch sees of a source's patches.

    The primary branch sees the routine image, of which there will be one in use: the source's
    patch, or what "crop_pad" and "downsample" leave of it. The privileged branch sees the other
    one, or with `symmetric` the same.

    Raises
    ------
    ConfigError, ManifestError, StoreError, SlideError
        As `open_partner`.
    """
    partner = open_partner(settings, source)
    first, second = (partner, source) if partner.is_routine else (source, partner)
    return {"primary": first, "privileged": first if settings.symmetric else second}


def open_partner(settings: PairingSettings, source: PatchSource) -> Partner:
    """Find the second images of a source's patches.

    Raises
    ------
    ConfigError
        If settings are missing or do not fit the source.
    ManifestError, StoreError, SlideError
        If images lack a partner, differ in size, or cannot be read.
    """
    return PAIRS[settings.pairing](settings, source)
