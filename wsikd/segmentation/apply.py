"""A trained segmenter on whole slides and images: label images, nuclei for QuPath, and a table.

In the folder of the run: `labels/<slide_id>/<region_id>.ome.zarr`, `instances/<slide_id>.geojson`
and `segmented.csv`. Nothing is written where pixels are read from.
"""

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field as Option

from wsikd.config import first_difference
from wsikd.data.crops import deal_crops, draw_crop
from wsikd.data.field_inputs import FieldInput, FieldSettings, open_fields
from wsikd.data.fields import Field
from wsikd.data.labels import labels_path, read_made
from wsikd.data.pack import digest, file_fingerprint
from wsikd.errors import (
    NothingUsableError,
    ResumeError,
    SomeSlidesFailedError,
    StoppedError,
    StoreError,
    WsikdError,
)
from wsikd.geometry import Size
from wsikd.prepare.status import REDO
from wsikd.segmentation.geojson import gather_features
from wsikd.segmentation.objects import ObjectSettings, pixel_side
from wsikd.segmentation.segment_field import FieldPaths, segment_field
from wsikd.segmentation.segmented import FieldStatus, SegmentedTable
from wsikd.segmentation.trained import Segmenter

Say = Callable[[str], None]

_SAMPLES, _SAMPLE_SIDE = 16, 512  # crops of a large slide that its threshold comes from
_FAR = 1.3  # times coarser or finer than the model learnt at, nuclei are of another size to it


class ApplySettings(FieldSettings, ObjectSettings):
    """What is segmented, how confidences become nuclei, and whether finished work is redone."""

    overwrite: bool = Option(False, description="segment again what is finished")


@dataclass(frozen=True)
class _Work:
    """What a call works with and writes to."""

    segmenter: Segmenter
    folder: Path  # of the run
    settings: ApplySettings
    table: SegmentedTable
    say: Say
    device: str

    @cached_property
    def made(self) -> dict[str, Any]:
        """What decides the labels of any field: the model and the settings."""
        tensors, weights = self.segmenter.network.state_dict(), hashlib.sha256()
        for name in sorted(tensors):
            weights.update(name.encode() + tensors[name].cpu().numpy().tobytes())
        return {
            "model": weights.hexdigest(),
            "channel": self.segmenter.channel,
            "inverted": self.segmenter.inverted,
            "balanced": self.segmenter.balanced,
            **self.settings.model_dump(mode="json", include=set(ObjectSettings.model_fields)),
        }

    def collection(self, slide_id: str) -> Path:
        return self.folder / "instances" / f"{slide_id}.geojson"

    def parts(self, slide_id: str) -> Path:
        """Give where the nuclei of fields wait for the other fields of their slide."""
        return self.folder / "instances" / f".{slide_id}"

    def paths(self, field: Field) -> FieldPaths:
        labels = labels_path(self.folder / "labels", field.slide_id, field.region_id)
        return FieldPaths(labels, self.parts(field.slide_id) / f"{field.region_id}.jsonl")


def apply_segmenter(
    segmenter: Segmenter,
    folder: Path,
    inputs: Sequence[FieldInput],
    settings: ApplySettings,
    say: Say = lambda _: None,
    *,
    device: str = "cpu",
) -> list[FieldStatus]:
    """Segment slides and images that are not segmented yet; what fails is told, others go on.

    Parameters
    ----------
    segmenter : Segmenter
        What is applied.
    folder : Path
        Of its run, where results go.
    inputs : sequence of FieldInput
        What `wsikd.data.field_inputs.list_inputs` found.
    settings : ApplySettings
        How. Where no resolution is asked for, the one that the segmenter learnt at.
    say : callable
        Told each outcome and warning in a line.
    device : str
        Where the network is computed.

    Returns
    -------
    list of FieldStatus
        Of the fields segmented now and of those that failed, not of those that were finished.

    Raises
    ------
    ResumeError
        If some of it was segmented by another model or with other settings.
    """
    table = SegmentedTable(folder / "segmented.csv")
    if table.warning:
        say(f"warning: {table.warning}")
    work = _Work(segmenter, folder, _resolve(settings, segmenter), table, say, device)
    for found in inputs:
        _refuse_other_settings(work, found.slide_id)
    outcomes = []
    for found in inputs:
        for status in _apply_to(work, found):
            table.put(status)
            outcomes.append(status)
            say(_told(status))
    return outcomes


def refuse_failures(outcomes: Sequence[FieldStatus], path: Path) -> None:
    """Raise if some or all failed.

    Raises
    ------
    NothingUsableError
        If all did.
    SomeSlidesFailedError
        If some did.
    """
    failed = [status for status in outcomes if status.status == "failed"]
    if failed and len(failed) == len(outcomes):
        raise NothingUsableError(f"{path}: all {len(failed)} failed; {failed[0].error}")
    if failed:
        raise SomeSlidesFailedError(
            f"{path}: {len(failed)} of {len(outcomes)} failed, the first is {failed[0].slide_id}; "
            "see its column error"
        )


def _resolve(settings: ApplySettings, segmenter: Segmenter) -> ApplySettings:
    """Fill in what is left to the model: the resolution, and the threshold unless it adapts."""
    asked = settings.segment
    if asked.mpp is None:
        asked = asked.model_copy(update={"mpp": segmenter.mpp})
    threshold = settings.threshold
    if threshold is None and not settings.adapts:
        threshold = segmenter.threshold
    return settings.model_copy(update={"segment": asked, "threshold": threshold})


def _apply_to(work: _Work, found: FieldInput) -> Iterator[FieldStatus]:
    """Segment the fields of a slide that are not finished, then gather its nuclei."""
    try:
        fields = open_fields(found, work.settings)
        left = _unfinished(work, fields)
    except StoppedError:
        raise
    except (WsikdError, OSError) as error:
        yield FieldStatus(slide_id=found.slide_id, status="failed", error=_one_line(error))
        return
    if not left:
        work.say(f"{found.slide_id}: was segmented")
        return
    if len(left) == len(fields):
        shutil.rmtree(work.parts(found.slide_id), ignore_errors=True)
    segmenter = _adapted(work, fields)
    for field in left:
        work.table.drop(field.slide_id, field.region_id)
        yield _try(work, field, segmenter)
    parts = [path for path in (work.paths(field).nuclei for field in fields) if path.exists()]
    if parts:
        gather_features(parts, work.collection(found.slide_id))
    if len(parts) == len(fields):
        shutil.rmtree(work.parts(found.slide_id))


def _adapted(work: _Work, fields: list[Field]) -> Segmenter:
    """Give the segmenter with the threshold of a slide: from all of it, or crops if it is large."""
    if not work.settings.adapts:
        return work.segmenter
    random = np.random.default_rng(0)
    if sum(math.prod(field.size) for field in fields) <= _SAMPLES * _SAMPLE_SIDE**2:
        crops = [field.crop(0, 0, field.size) for field in fields]
    else:
        dealt = (fields[which] for which in deal_crops(fields, _SAMPLES, random))
        sizes = (
            (field, Size(*(min(side, _SAMPLE_SIDE) for side in field.size))) for field in dealt
        )
        crops = [draw_crop(field, size, random)[0] for field, size in sizes]
    return work.segmenter.adapted(crops, fields[0].light, work.device)


def _unfinished(work: _Work, fields: list[Field]) -> list[Field]:
    """List the fields to segment: all, once the parts of a slide's nuclei were gathered.

    Raises
    ------
    ResumeError
        If a finished one was made of other pixels.
    """
    if work.settings.overwrite:
        return fields
    slide_id = fields[0].slide_id
    waiting = work.parts(slide_id).is_dir()
    left = [
        field
        for field in fields
        if not (_is_made(work, field) and (not waiting or work.paths(field).nuclei.exists()))
    ]
    gathered = not waiting and work.collection(slide_id).exists()
    return left if waiting or (gathered and not left) else fields


def _is_made(work: _Work, field: Field) -> bool:
    made = _read_made(work, field.slide_id, field.region_id)
    if made is None or not work.table.is_done(field.slide_id, field.region_id):
        return False
    _refuse_difference(work.paths(field).labels, made, work.made | _made_of(field))
    return True


def _read_made(work: _Work, slide_id: str, region_id: str) -> dict[str, Any] | None:
    """Read how labels were made; damaged ones are made again."""
    try:
        return read_made(work.folder / "labels", slide_id, region_id)
    except StoreError:
        return None


def _refuse_other_settings(work: _Work, slide_id: str) -> None:
    """Refuse to mix what other settings or another model made with what these would."""
    if work.settings.overwrite:
        return
    for path in sorted((work.folder / "labels" / slide_id).glob("[!.]*.ome.zarr")):
        made = _read_made(work, slide_id, path.name.removesuffix(".ome.zarr"))
        if made is not None:
            _refuse_difference(path, {key: made.get(key) for key in work.made}, work.made)


def _refuse_difference(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    difference = first_difference(before, now)
    if difference is None:
        return
    key, old, new = difference
    if key in ("model", "source"):
        raise ResumeError(f"{path}: the {key} changed since it was segmented; {REDO}")
    raise ResumeError(f"{path}: was segmented with {key} {old}, now asked for {new}; {REDO}")


def _made_of(field: Field) -> dict[str, Any]:
    """Say what else decides the labels of a field: its pixels."""
    source = field.source
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    hashes = (f"{file.name} {file_fingerprint(file)}" for file in files if file.is_file())
    size, mpp = list(field.size), field.mpp and list(field.mpp)
    return {"source": digest(hashes), "size": size, "mpp": mpp}


def _try(work: _Work, field: Field, segmenter: Segmenter) -> FieldStatus:
    start = time.perf_counter()
    known: dict[str, Any] = {
        "slide_id": field.slide_id,
        "region_id": field.region_id,
        "width": field.size.width,
        "height": field.size.height,
        "mpp": field.mpp and round(pixel_side(field.mpp), 5),
        "unit": "px" if field.mpp is None else "µm",
    }
    _warn_of_scale(work, field)
    try:
        made = work.made | _made_of(field)
        paths, device = work.paths(field), work.device
        found = segment_field(segmenter, field, work.settings, paths, made, device=device)
    except StoppedError:
        raise
    except (WsikdError, OSError) as error:
        return FieldStatus(**known, status="failed", error=_one_line(error))
    seconds = round(time.perf_counter() - start, 2)
    return FieldStatus(**known, **found, seconds=seconds, status="done")


def _warn_of_scale(work: _Work, field: Field) -> None:
    learnt, known = work.segmenter.mpp, field.mpp
    if known is None and learnt is not None:
        work.say(
            f"warning: {field.name}: no µm per pixel; its nuclei are taken to be of the size the "
            f"model learnt at {learnt:g}; state it with --mpp"
        )
    elif known is not None and learnt is None:
        work.say(
            f"warning: {field.name}: {pixel_side(known):.3g} µm per pixel, and what the model "
            "learnt from had none; see that nuclei are as large in pixels"
        )
    elif known is not None and learnt is not None:
        ratio = pixel_side(known) / learnt
        if max(ratio, 1 / ratio) > _FAR:
            work.say(
                f"warning: {field.name}: {pixel_side(known):.3g} µm per pixel, and the model "
                f"learnt at {learnt:g}; segment at that with --segment.mpp {learnt:g}"
            )


def _told(status: FieldStatus) -> str:
    name = f"{status.slide_id}/{status.region_id}".rstrip("/")
    if status.status == "failed":
        return f"{name}: failed, {status.error}"
    size = "" if status.median_diameter is None else f", {status.median_diameter:g} {status.unit}"
    return f"{name}: {status.nuclei} nuclei{size}, {status.seconds:.1f} s"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
