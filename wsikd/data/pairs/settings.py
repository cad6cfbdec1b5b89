"""The pairings there are, and their settings."""

from pathlib import Path
from typing import NamedTuple

from pydantic import Field, field_validator

from wsikd.config import OneOf, Settings
from wsikd.errors import ConfigError
from wsikd.pyramid.kernels import KernelName


class Pairing(NamedTuple):
    """A way to find second images of the same tissue.

    Attributes
    ----------
    opener : str
        What makes the `Partner` of settings and source: a class or a function, as "module:name". It
        is imported when it is used, as some need libraries that others do not.
    is_routine : bool
        Whether the second image, and not the source's, is the poorer one that there will be in use.
    """

    opener: str
    is_routine: bool = False


PAIRS: dict[str, Pairing] = {
    "modality": Pairing("wsikd.data.pairs.modality:open_modality"),
    "crop_pad": Pairing("wsikd.data.pairs.crop_pad:CropPadPartner", is_routine=True),
    "downsample": Pairing("wsikd.data.pairs.downsample:DownsamplePartner", is_routine=True),
    "magnification": Pairing("wsikd.data.pairs.magnification:MagnificationPartner"),
    "mask": Pairing("wsikd.data.pairs.mask:open_mask"),
    "symmetric": Pairing("wsikd.data.pairs.symmetric:SymmetricPartner"),
}
"""Name of a pairing, as for `--pairing`, to what finds the second image of each patch."""

PairingName = OneOf[str, PAIRS]
"""A key of `PAIRS`."""

Transform = tuple[float, float, float, float, float, float]


class PairingSettings(Settings):
    """Which second image goes with a patch."""

    pairing: PairingName = Field(description="what the second image of the same tissue is")
    symmetric: bool = Field(
        False, description="both branches see the primary image; what a pairing is held against"
    )
    partner: Path | None = Field(
        None,
        description="modality: folder of images or slides, a slide, or another workspace; "
        "mask: folder of label images, or a run that made some",
    )
    partner_mpp: float | None = Field(
        None, gt=0, description="µm per pixel of the partner's slides, if their files do not say"
    )
    transform: Transform = Field(
        (1, 0, 0, 0, 1, 0),
        description="a b c d e f: the partner's x is ax + by + c, its y dx + ey + f, in µm",
    )
    channels: tuple[int | str, ...] = Field(
        ("Pan-CK",),
        description="of a partner with several: one or three, by number from 0 or by name",
    )
    partner_mag: float | None = Field(
        None, gt=0, description="magnification: that of the second image"
    )
    downsample_to: int = Field(7, ge=1, description="downsample: side in between, in pixels")
    kernel: KernelName = Field(
        "bilinear", description="anti-aliased kernel of downsample, modality and magnification"
    )
    centre: float = Field(0.5, gt=0, lt=1, description="crop_pad: share of the side that is kept")
    mask_classes: int | None = Field(
        None,
        ge=2,
        le=256,
        description="mask: number of classes, spread evenly over 0 to 255; unset: of a run's "
        "labels 2, of images numbers as they are",
    )

    @field_validator("channels")
    @classmethod
    def _one_or_three(cls, channels: tuple[int | str, ...]) -> tuple[int | str, ...]:
        if len(channels) not in (1, 3):
            raise ValueError(f"must be one or three, got {len(channels)}")
        return channels

    @field_validator("transform")
    @classmethod
    def _is_invertible(cls, transform: Transform) -> Transform:
        a, b, _, d, e, _ = transform
        if a * e == b * d:
            raise ValueError(f"must not squash the plane (ae = bd), got {transform}")
        return transform

    def required_partner(self) -> Path:
        """Return the partner's path.

        Raises
        ------
        ConfigError
            If there is none.
        """
        if self.partner is None:
            raise ConfigError(f"--partner is required by --pairing {self.pairing}")
        return self.partner
