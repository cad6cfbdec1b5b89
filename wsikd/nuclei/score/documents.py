"""What `segment-metrics.json` holds: segmenters' scores on labelled images, and their differences.

Scores are means over images. Their intervals are of the test patients, drawn again; beside them is
the spread over the runs that differ in their seed alone.
"""

from typing import Any, Literal

from pydantic import Field

from wsikd.config import Settings
from wsikd.evaluation import Estimate
from wsikd.evaluation.seeds import SeedEstimate


class SegmenterEstimate(SeedEstimate):
    """The mean over runs and images with its interval, and how much the runs differ."""

    deviation: float | None = Field(description="standard deviation of the runs; null of a single")


class About(Settings):
    """A segmenter: runs that differ in their seed alone, or a control."""

    name: str = Field(description="what the names of the runs have in common")
    control: bool = Field(description="whether it is there for others to be compared with")
    labels: str = Field(
        description='what was chosen by labels: "none", "epoch and channel" or "threshold"'
    )
    runs: tuple[str, ...]


class ScoredSegmenter(About):
    """A segmenter and its scores."""

    images: int
    patients: int
    metrics: dict[str, SegmenterEstimate]
    reason: str | None = Field(description="why there is no interval")


class SegmenterDifference(Settings):
    """A segmenter minus a control, both on the same images and under the same draws."""

    segmenter: str
    reference: str
    images: int
    patients: int
    metrics: dict[str, Estimate]
    reason: str | None


class SegmentMetrics(Settings):
    """`segment-metrics.json`."""

    format: Literal["wsikd-segment-metrics"] = "wsikd-segment-metrics"
    version: Literal[1] = 1
    settings: dict[str, Any] = Field(
        description="the resolved settings of evaluate and, in objects, `ObjectSettings`"
    )
    segmenters: tuple[ScoredSegmenter, ...]
    differences: tuple[SegmenterDifference, ...]
    notes: tuple[str, ...] = Field(description="what a reader of the numbers should know")
