"""What a training will compute, and how much memory and time that takes: a document."""

from typing import Literal

from pydantic import Field

from wsikd.config import Settings
from wsikd.geometry import format_magnification
from wsikd.words import bytes_text, counted, pixels_text


class Amount(Settings):
    """Regions, and their pixels."""

    regions: int
    pixels: dict[str, int] = Field(description="by magnification, such as 10x")


class NetworkForecast(Settings):
    """How a network is computed."""

    role: str = Field(description="teacher, student, or the kind of run")
    architecture: str
    magnification: float
    learns: bool = Field(description="whether its layers do, but for the last")
    views: int | None = Field(description="of each region, asked about once; null: every epoch")
    policies: dict[str, int] = Field(description="regions that are computed by each policy")
    peak_bytes: dict[str, int] = Field(
        {}, description="by policy, for the largest region; a training leaves it uncounted"
    )


class Forecast(Settings):
    """What a training will compute, and how much memory that takes."""

    format: Literal["wsikd-plan"] = "wsikd-plan"
    version: Literal[1] = 1
    run: str
    fold: int | None
    learnt: Amount = Field(description="regions learnt from in an epoch")
    validated: Amount
    epochs: int
    steps: int = Field(description="in an epoch")
    device: str
    way: str = Field("", description="precision of maps and kernels, where they are not the usual")
    room_bytes: int = Field(description="that networks may take there")
    peak_bytes: int = Field(description="that all takes there at once, at most")
    largest: str = Field(description="the region of most pixels")
    largest_size: tuple[int, int] = Field(description="width and height, as the finest is read")
    networks: tuple[NetworkForecast, ...]
    resident: str = Field(description="where regions stay")
    cache_bytes: int = Field(description="of a teacher's answers, in cache/")
    notes: tuple[str, ...] = ()
    seconds: float | None = Field(None, description="of an epoch, as measured; null: not measured")
    hours: float | None = Field(None, description="of all epochs and the predictions")

    def lines(self) -> tuple[str, str]:
        """Return what is told before a training."""
        pixels = ", ".join(
            f"{pixels_text(count)} at {mag}" for mag, count in self.learnt.pixels.items()
        )
        computed = "; ".join(
            f"{one.role} at {format_magnification(one.magnification)} computed "
            + ", ".join(f"{policy} ({count})" for policy, count in one.policies.items())
            for one in self.networks
            if set(one.policies) - {"plain"}
        )
        learns = (
            f"learns from {counted(self.learnt.regions, 'region')}, {pixels}, in "
            f"{counted(self.steps, 'step')} an epoch for {counted(self.epochs, 'epoch')}"
        )
        takes = f"takes at most {bytes_text(self.peak_bytes)} on {self.device}"
        parts = (takes, self.way, computed, self.resident)
        return learns, "; ".join(part for part in parts if part)
