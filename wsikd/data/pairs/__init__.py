"""Pairings: which second image of the same tissue the encoder of the first one learns from."""

import pkgutil

from wsikd.data.pairs.partner import Partner
from wsikd.data.pairs.settings import PAIRS, Pairing, PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.runs import Branch

__all__ = [
    "PAIRS",
    "Pairing",
    "PairingSettings",
    "Partner",
    "Shown",
    "open_partner",
    "open_views",
]

Shown = PatchSource | Partner
"""What a branch sees: both have pack, size, magnification and fingerprint."""


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
    is_routine = PAIRS[settings.pairing].is_routine
    first, second = (partner, source) if is_routine else (source, partner)
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
    open_it = pkgutil.resolve_name(PAIRS[settings.pairing].opener)
    partner: Partner = open_it(settings, source)
    return partner
