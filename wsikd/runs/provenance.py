"""What made a run: its method and data, and the machine that carried it out."""

from typing import Literal

from pydantic import Field

from wsikd.config import Settings
from wsikd.runs.kinds import KINDS, Kind, Method


class Provenance(Settings):
    """What made a run: `run.json`."""

    format: Literal["wsikd-run"] = "wsikd-run"
    version: Literal[1] = 1
    name: str
    method: Method
    magnification: float | None = Field(None, description="of the pixels the model reads")
    fold: int | None = None
    seed: int = 0
    classes: tuple[str, ...] = Field(description="in the order of p_0, p_1, ...")
    class_weights: dict[str, float] = Field(
        default_factory=dict, description="of the training loss; empty: all items count alike"
    )
    status: Literal["running", "complete"] = "running"
    inputs: dict[str, str] = Field(default_factory=dict, description="fingerprints of the inputs")
    sources: dict[str, str] = Field(
        default_factory=dict, description="names of the runs among the inputs, as they were called"
    )
    notes: tuple[str, ...] = Field((), description="what a reader of its numbers should know")
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = "cpu"
    started: str = ""
    finished: str | None = None
    seconds: float | None = None

    @property
    def kind(self) -> Kind:
        """What a run of this method can do."""
        return KINDS[self.method]
