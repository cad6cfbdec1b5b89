"""How many µm a pixel of a slide is, and where that is known from."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from wsikd.errors import ConfigError, MissingResolutionError
from wsikd.geometry import Mpp, magnification_to_mpp
from wsikd.slides.reader import SlideReader

PLAUSIBLE_MPP = (0.05, 100.0)  # finer than any light microscope; coarser than any slide scan
TOLERANCE = 0.15  # objectives are nominal: 40x goes with 0.22 to 0.28 µm per pixel

Source = Literal["given", "file", "objective"]


@dataclass(frozen=True)
class Resolution:
    """A slide's µm per level-0 pixel.

    Attributes
    ----------
    mpp : Mpp
        µm per level-0 pixel along x and y.
    source : {"given", "file", "objective"}
        Stated by the user, stated by the slide's file, or 10 / objective power.
    warnings : tuple of str
        What was ignored and what contradicts the value used, one line each.
    """

    mpp: Mpp
    source: Source
    warnings: tuple[str, ...] = ()


class _Claim(NamedTuple):
    source: Source
    text: str
    mpp: Mpp


def resolution_of(
    reader: SlideReader, *, mpp: float | None = None, objective_power: float | None = None
) -> Resolution:
    """Settle a slide's resolution: what is given, else what the file states, else the objective.

    Parameters
    ----------
    reader : SlideReader
        The open slide.
    mpp : float, optional
        µm per level-0 pixel as the user states it; it wins over the file's.
    objective_power : float, optional
        Objective as the user states it; it wins over the file's objective, not over any mpp.

    Raises
    ------
    MissingResolutionError
        If neither mpp nor objective is known, or only an implausible one.
    ConfigError
        If the value given is itself implausible.

    Examples
    --------
    >>> import numpy as np
    >>> from wsikd.slides import ArrayReader
    >>> slide = ArrayReader(np.zeros((8, 8, 3), np.uint8), objective_power=40)
    >>> resolution_of(slide)
    Resolution(mpp=Mpp(x=0.25, y=0.25), source='objective', warnings=())
    """
    claims = _claims(reader, mpp, objective_power)
    usable = [claim for claim in claims if _is_plausible(claim.mpp)]
    ignored = [
        f"{claim.text} is implausible (outside {PLAUSIBLE_MPP[0]:g} to {PLAUSIBLE_MPP[1]:g}"
        " µm per pixel) and ignored"
        for claim in claims
        if claim not in usable
    ]
    if not usable:
        reasons = "".join(f"; {reason}" for reason in (*ignored, *reader.notes))
        raise MissingResolutionError(
            f"{reader.path}: no µm per pixel known{reasons};"
            " state it with --mpp or in the manifest's column mpp"
        )
    used, *others = usable
    contradictions = [
        f"{used.text} and {other.text} are {_gap(used.mpp, other.mpp):.0%} apart"
        for other in others
        if _gap(used.mpp, other.mpp) > TOLERANCE
    ]
    return Resolution(used.mpp, used.source, (*ignored, *contradictions))


def _claims(reader: SlideReader, mpp: float | None, objective_power: float | None) -> list[_Claim]:
    """List what is said about the resolution, the most trusted first."""
    claims = []
    if mpp is not None:
        claims.append(_Claim("given", f"the given mpp of {mpp:g}", Mpp(mpp, mpp)))
    stated = reader.stated_mpp
    if stated is not None:
        text = f"{stated.x:g}" if stated.x == stated.y else f"{stated.x:g} x {stated.y:g}"
        claims.append(_Claim("file", f"the file's mpp of {text}", stated))
    power = reader.objective_power if objective_power is None else objective_power
    if power is not None:
        nominal = magnification_to_mpp(power) if power > 0 else 0.0
        text = f"an objective of {power:g}x (mpp {nominal:g})"
        claims.append(_Claim("objective", text, Mpp(nominal, nominal)))
    given = {"given"} | ({"objective"} if objective_power is not None else set())
    for claim in claims:
        if claim.source in given and not _is_plausible(claim.mpp):
            raise ConfigError(
                f"{reader.path}: {claim.text} must mean {PLAUSIBLE_MPP[0]:g} to"
                f" {PLAUSIBLE_MPP[1]:g} µm per pixel"
            )
    return claims


def _is_plausible(mpp: Mpp) -> bool:
    return all(PLAUSIBLE_MPP[0] <= value <= PLAUSIBLE_MPP[1] for value in mpp)


def _gap(first: Mpp, second: Mpp) -> float:
    """How far two resolutions are apart, as a fraction of the finer one; the worse axis."""
    return max(max(a, b) / min(a, b) - 1 for a, b in zip(first, second, strict=True))
