"""Trained segmenters and controls on labelled images, to `runs/segment-metrics.json` and `.csv`.

`wsikd.nuclei.score.documents` describes the former; the latter has a row for each run and test
image. Whatever is compared gets its nuclei from its mask in the same way, by
`wsikd.nuclei.objects` and `instances`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from wsikd.data.fields.field import brightest
from wsikd.data.likeness import pixel_digest
from wsikd.errors import LeakageError, NothingUsableError
from wsikd.evaluation.seeds import SeedSettings, seedless_name
from wsikd.files import replacing, write_json
from wsikd.geometry import Mpp, Pixels
from wsikd.hashing import content_fingerprint
from wsikd.nuclei.instances import label_instances
from wsikd.nuclei.objects import ObjectSettings, smooth
from wsikd.nuclei.score.controls import best_global_threshold, darker_than, otsu_haematoxylin
from wsikd.nuclei.score.documents import (
    About,
    ScoredSegmenter,
    SegmenterDifference,
    SegmentMetrics,
)
from wsikd.nuclei.score.metrics import Mask, score_nuclei
from wsikd.nuclei.score.seeds import SegmenterRows, compare_segmenters, score_segmenter
from wsikd.nuclei.score.sets import LabelledImage, split_images
from wsikd.nuclei.score.truth import Instances
from wsikd.nuclei.trained import Device, Labels, Segmenter

THRESHOLD, OTSU = CONTROLS = ("control-threshold", "control-otsu")

_ALIKE = 1.3  # times that µm per pixel may differ from those a network was trained at


class EvaluateSegmentersSettings(SeedSettings):
    """How segmenters are scored."""

    split_seed: int = Field(
        0, ge=0, description="of the halves of a set that is not parted in training and test"
    )
    device: str = Field("auto", description="such as cpu or cuda:1; auto: a GPU if there is one")


@dataclass(frozen=True)
class _Candidate:
    """Anything that finds nuclei: computes the smoothed mask of an image of some µm per pixel."""

    run: str
    labels: Labels
    find: Callable[[Pixels, Mpp | None], Mask]


class Examined(NamedTuple):
    """A labelled image and what a network made of it, for a picture of both."""

    name: str
    mpp: Mpp | None
    pixels: Pixels
    confidence: NDArray[np.float32]
    mask: Mask
    truth: Instances


def examine(
    segmenter: Segmenter, image: LabelledImage, objects: ObjectSettings, device: Device = "cpu"
) -> Examined:
    """Segment a labelled image."""
    pixels, mpp = image.read_pixels(), _mpp(image)
    light = brightest(pixels)
    if objects.adapts:
        segmenter = segmenter.adapted([pixels], light, device)
    confidence = segmenter.confidence(pixels, light, device)
    mask = segmenter.mask(confidence, objects, mpp)
    return Examined(image.name, mpp, pixels, confidence, mask, image.read_instances())


def evaluate_segmenters(
    segmenters: Sequence[Segmenter],
    images: Sequence[LabelledImage],
    runs: Path,
    objects: ObjectSettings,
    settings: EvaluateSegmentersSettings,
    device: Device = "cpu",
) -> SegmentMetrics:
    """Score networks and controls on the test images of a labelled set, and compare them.

    Parameters
    ----------
    segmenters : sequence of Segmenter
        Those of one name but for the seed are scored together.
    images : sequence of LabelledImage
        Of one set; the control learns its threshold from its training images.
    runs : Path
        The folder of all runs; gets `segment-metrics.json` and `.csv`.
    objects : ObjectSettings
        How masks become nuclei.
    settings : EvaluateSegmentersSettings
        How scores become numbers.
    device : torch.device or str
        Where the networks are computed.

    Returns
    -------
    SegmentMetrics
        What was written to `segment-metrics.json`.

    Raises
    ------
    LeakageError
        If a network was trained on a test image, or on another of the same patient.
    NothingUsableError
        If the set has no test image.
    """
    parted = split_images(images, settings.split_seed)
    train, test = ([one for one in parted if one.split == part] for part in ("train", "test"))
    if not test:
        raise NothingUsableError(
            f"{images[0].image.parent}: holds no test image; name a folder that does"
        )
    pixels = {image.name: pixel_digest(image.read_pixels()) for image in test}
    for segmenter in segmenters:
        _refuse_learnt(segmenter, test, pixels)
    candidates = list(_candidates(segmenters, _fit_threshold(train), objects, device))
    rows = pd.DataFrame(row for image in test for row in _score_image(image, candidates, objects))
    scored, differences = _compare(rows, settings)
    metrics = SegmentMetrics(
        settings=settings.model_dump(mode="json") | {"objects": objects.model_dump(mode="json")},
        segmenters=tuple(scored),
        differences=tuple(differences),
        notes=tuple(_notes(segmenters, train, test)),
    )
    write_json(runs / "segment-metrics.json", metrics.model_dump(mode="json"))
    with replacing(runs / "segment-metrics.csv") as temporary:
        rows.to_csv(temporary, index=False)
    return metrics


def _refuse_learnt(
    segmenter: Segmenter, test: Sequence[LabelledImage], pixels: Mapping[str, str]
) -> None:
    names, patients = (set(segmenter.learnt[key]) for key in ("slide_id", "patient_id"))
    contents = {*segmenter.learnt.get("content", ()), *segmenter.learnt.get("pixels", ())} - {""}
    for image in test:
        known = {content_fingerprint(image.image), pixels[image.name]}
        is_same = image.name in names or not known.isdisjoint(contents)
        if is_same or image.patient_id in patients:
            what = "image" if is_same else f"another image of {image.patient_id} than"
            raise LeakageError(
                f"{segmenter.run}: was trained on {what} {image.name!r}, which is for testing; "
                "train it on the training images alone"
            )


def _fit_threshold(train: Sequence[LabelledImage]) -> float | None:
    if not train:
        return None
    return best_global_threshold(
        (image.read_pixels(), image.read_instances() > 0) for image in train
    )


def _score_image(
    image: LabelledImage, candidates: Sequence[_Candidate], objects: ObjectSettings
) -> Iterator[dict[str, Any]]:
    pixels, truth, mpp = image.read_pixels(), image.read_truth(), _mpp(image)
    true_nuclei = len(np.unique(truth.instances[truth.instances > 0]))
    for candidate in candidates:
        mask = candidate.find(pixels, mpp)
        instances = label_instances(mask, objects, mpp)
        yield {
            "segmenter": seedless_name(candidate.run),
            "run": candidate.run,
            "labels": candidate.labels,
            "image": image.name,
            "patient_id": image.patient_id,
            **score_nuclei(mask, instances, truth.instances),
            "nuclei": int(instances.max(initial=0)),
            "true_nuclei": true_nuclei,
            "skipped_outlines": truth.skipped,
        }


def _candidates(
    segmenters: Sequence[Segmenter], grey: float | None, objects: ObjectSettings, device: Device
) -> Iterator[_Candidate]:
    def smoothed(find: Callable[[Pixels], Mask]) -> Callable[[Pixels, Mpp | None], Mask]:
        return lambda pixels, mpp: smooth(find(pixels), mpp) if objects.smooth else find(pixels)

    def segment(by: Segmenter, pixels: Pixels, mpp: Mpp | None) -> Mask:
        light = brightest(pixels)
        if objects.adapts:
            by = by.adapted([pixels], light, device)
        return by.mask(by.confidence(pixels, light, device), objects, mpp)

    for segmenter in segmenters:
        yield _Candidate(segmenter.run, segmenter.labels, partial(segment, segmenter))
    if grey is not None:
        darker = smoothed(lambda pixels: darker_than(pixels, grey))
        yield _Candidate(THRESHOLD, "threshold", darker)
    yield _Candidate(OTSU, "none", smoothed(otsu_haematoxylin))


def _compare(
    rows: pd.DataFrame, settings: SeedSettings
) -> tuple[list[ScoredSegmenter], list[SegmenterDifference]]:
    """Score each segmenter, and hold those that are no control against the controls."""
    tables = [_table_of(str(name), table) for name, table in rows.groupby("segmenter", sort=False)]
    controls = [table for table in tables if table.about.control]
    return [score_segmenter(table, settings) for table in tables], [
        compare_segmenters(table, control, settings)
        for table in tables
        for control in controls
        if not table.about.control
    ]


def _table_of(name: str, rows: pd.DataFrame) -> SegmenterRows:
    labels, runs = (sorted(set(rows[column])) for column in ("labels", "run"))
    is_control = name in CONTROLS
    about = About(name=name, control=is_control, labels=", ".join(labels), runs=tuple(runs))
    return SegmenterRows(about, rows)


def _notes(
    segmenters: Sequence[Segmenter], train: Sequence[LabelledImage], test: Sequence[LabelledImage]
) -> Iterator[str]:
    if train:
        yield (
            f"{THRESHOLD} learnt its threshold from the labels of {len(train)} training images; "
            "no label of an image went into the networks but where the column labels says so"
        )
    else:
        yield f"{THRESHOLD} was not made: the set has no training image to learn it from"
    for segmenter in segmenters:
        for mpp in sorted({image.mpp for image in test if image.mpp is not None}):
            if segmenter.mpp is not None and not 1 / _ALIKE <= mpp / segmenter.mpp <= _ALIKE:
                yield (
                    f"{segmenter.run} was trained at {segmenter.mpp:g} µm per pixel, and there are "
                    f"test images at {mpp:g}"
                )
    if not all(image.parts_touching for image in test):
        yield "the true masks do not part nuclei that touch: AJI and objects are approximate"


def _mpp(image: LabelledImage) -> Mpp | None:
    return None if image.mpp is None else Mpp(image.mpp, image.mpp)
