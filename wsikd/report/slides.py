"""Which slides the report shows, and what it says of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from wsikd.evaluation import Metrics
from wsikd.evaluation.aggregate import aggregate
from wsikd.evaluation.folds import pool_runs
from wsikd.pages import data_uri
from wsikd.report.words import find_subject, run_title
from wsikd.runs import probability_columns
from wsikd.runs.pictures import PictureFolder, Pictures, ShownSlide

_SLIDE_LIMIT = 24  # keeps the page light; the rest is counted


class Reading(NamedTuple):
    """What the report's subject read on a slide."""

    reading: str
    probability: str
    is_right: bool


class ReadSlide(NamedTuple):
    """A slide as the page shows it."""

    slide_id: str
    label: str
    reading: Reading | None
    picture: str
    pieces: str
    mpp: str
    warnings: tuple[str, ...]


class ReadSlides(NamedTuple):
    """The slides of the page: who read them, those shown, and how many more there are."""

    reader: str
    shown: list[ReadSlide]
    rest: int


def shown_slides(
    pictures: Pictures, folder: PictureFolder, runs: Path, metrics: Metrics, manifest: pd.DataFrame
) -> ReadSlides:
    """Choose the slides that are shown: those the report's subject got wrong come first.

    Parameters
    ----------
    pictures : Pictures
        The slides there are pictures of.
    folder : PictureFolder
        Holds the pictures.
    runs : Path
        Folder of all runs.
    metrics : Metrics
        What was evaluated.
    manifest : DataFrame
        Slides with labels.
    """
    subject = find_subject(metrics)
    readings = _readings(runs, subject.name, metrics, manifest)
    labels = dict(zip(manifest["slide_id"], manifest["label"], strict=True))

    def order(slide: ShownSlide) -> tuple[bool, bool, str, str]:
        reading = readings.get(slide.slide_id)
        is_right = reading is not None and reading.is_right
        return reading is None, is_right, labels.get(slide.slide_id, ""), slide.slide_id

    chosen = sorted(pictures.slides, key=order)
    return ReadSlides(
        run_title(subject),
        [_describe(slide, folder, labels, readings) for slide in chosen[:_SLIDE_LIMIT]],
        max(0, len(chosen) - _SLIDE_LIMIT),
    )


def _readings(
    runs: Path, name: str, metrics: Metrics, manifest: pd.DataFrame
) -> dict[str, Reading]:
    settings = metrics.settings
    pooled, _ = pool_runs(
        runs, manifest, checkpoint=settings["checkpoint"], split=settings["split"]
    )
    run = next((one for one in pooled if one.name == name), None)
    if run is None:
        return {}
    table = aggregate(run.predictions, run.classes, "slide").reset_index()
    probabilities = table[probability_columns(run.classes)].to_numpy()
    readings = {}
    for slide_id, label, row in zip(table["slide_id"], table["label"], probabilities, strict=True):
        read = run.classes[row.argmax()]
        readings[slide_id] = Reading(read, f"{100 * row.max():.0f} %", read == label)
    return readings


def _describe(
    slide: ShownSlide,
    folder: PictureFolder,
    labels: Mapping[str, str],
    readings: Mapping[str, Reading],
) -> ReadSlide:
    return ReadSlide(
        slide_id=slide.slide_id,
        label=labels.get(slide.slide_id, ""),
        reading=readings.get(slide.slide_id),
        picture=data_uri(slide.picture, folder.read_picture(slide.picture)),
        pieces=f"{slide.regions} piece{'' if slide.regions == 1 else 's'}",
        mpp=f"{slide.mpp:.3g}",
        warnings=slide.warnings,
    )
