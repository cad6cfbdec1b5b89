"""Losses as pure functions of tensors.

Each family is a mapping of names to losses. A name that ends in "-release" is what the published
code computes in place of the loss without that ending: `--compat release` takes it, and it is no
choice of its own.
"""

from collections.abc import Collection

_RELEASED = "-release"


def choices(family: Collection[str]) -> tuple[str, ...]:
    """List the losses of a family that can be asked for.

    Examples
    --------
    >>> choices({"vicreg": 1, "vicreg-release": 2, "barlow": 3})
    ('vicreg', 'barlow')
    """
    return tuple(name for name in family if not name.endswith(_RELEASED))


def as_released(name: str, family: Collection[str]) -> str:
    """Return what the published code takes for a loss, itself if that has nothing of its own.

    Examples
    --------
    >>> family = {"vicreg": 1, "vicreg-release": 2, "barlow": 3}
    >>> as_released("vicreg", family), as_released("barlow", family)
    ('vicreg-release', 'barlow')
    """
    return name + _RELEASED if name + _RELEASED in family else name
