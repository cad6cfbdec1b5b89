"""A trained segmenter on whole slides and images: label images, nuclei for QuPath, and a table.

In the folder of the run: `labels/<slide_id>/<region_id>.ome.zarr`, `instances/<slide_id>.geojson`
and `segmented.csv`. Nothing is written where pixels are read from.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import Field as Option

from wsikd.data.fields.field import Field
from wsikd.data.fields.inputs import FieldInput
from wsikd.data.fields.opening import FieldSettings, open_fields
from wsikd.errors import (
    NothingUsableError,
    ResumeError,
    SomeSlidesFailedError,
    WsikdError,
)
from wsikd.nuclei.adapt import adapt
from wsikd.nuclei.channel import PLAUSIBLE_UM
from wsikd.nuclei.objects import ObjectSettings, pixel_side
from wsikd.nuclei.outputs import Outputs
from wsikd.nuclei.segment_field import FieldNuclei, segment_field
from wsikd.nuclei.segmented import FieldStatus
from wsikd.nuclei.trained import Segmenter
from wsikd.runs import RunFolder

Say = Callable[[str], None]

_MOST = 0.6  # of the tissue that can be nuclei
_FAR = 1.3  # times coarser or finer than the model learnt at, nuclei are of another size to it


class ApplySettings(FieldSettings, ObjectSettings):
    """What is segmented, how confidences become nuclei, and whether finished work is redone."""

    overwrite: bool = Option(False, description="segment again what is finished")


@dataclass(frozen=True)
class _Work:
    """What a call works with."""

    segmenter: Segmenter
    settings: ApplySettings
    outputs: Outputs
    say: Say
    device: str


def apply_segmenter(
    segmenter: Segmenter,
    folder: Path,
    inputs: Sequence[FieldInput],
    settings: ApplySettings,
    say: Say = lambda _: None,
    *,
    device: str = "cpu",
) -> list[FieldStatus]:
    """Segment slides and images that are not segmented yet; what fails is reported, others go on.

    Parameters
    ----------
    segmenter : Segmenter
        What is applied.
    folder : Path
        Of its run, where results go.
    inputs : sequence of FieldInput
        What `wsikd.data.fields.inputs.list_inputs` found.
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
    BusyError
        If another process is segmenting with this run.
    """
    settings = _resolve(settings, segmenter)
    with RunFolder(folder).alone():
        outputs = Outputs(folder, segmenter, settings, overwrite=settings.overwrite)
        return _apply_to_all(_Work(segmenter, settings, outputs, say, device), inputs)


def _apply_to_all(work: _Work, inputs: Sequence[FieldInput]) -> list[FieldStatus]:
    outputs = work.outputs
    if outputs.table.warning:
        work.say(f"warning: {outputs.table.warning}")
    for found in inputs:
        outputs.refuse_others(found.slide_id)
    outcomes = []
    for found in inputs:
        for status in _apply_to(work, found):
            outputs.table.put(status)
            outcomes.append(status)
            work.say(_outcome_line(status))
    return outcomes


def refuse_failures(outcomes: Sequence[FieldStatus], path: Path) -> None:
    """Raise if some or all failed.

    Raises
    ------
    ResumeError
        If those that did were all made with other settings or from other pixels.
    NothingUsableError
        If all did.
    SomeSlidesFailedError
        If some did.
    """
    failed = [status for status in outcomes if status.status == "failed"]
    if failed and all(status.refused for status in failed):
        raise ResumeError(f"{path}: {len(failed)} refused; {failed[0].error}")
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
        left = work.outputs.unfinished(fields)
        segmenter = work.segmenter
        if left and work.settings.adapts:
            segmenter = adapt(segmenter, fields, work.device)
    except (WsikdError, OSError) as error:
        yield FieldStatus(slide_id=found.slide_id, status="failed", error=_one_line(error))
        return
    if not left:
        work.say(f"{found.slide_id}: was segmented")
        return
    for field in left:
        work.outputs.table.drop(field.slide_id, field.region_id)
        yield _try(work, field, segmenter)
    work.outputs.gather(fields)


def _try(work: _Work, field: Field, segmenter: Segmenter) -> FieldStatus:
    start, asked = time.perf_counter(), work.settings.threshold
    outcome = partial(
        FieldStatus,
        slide_id=field.slide_id,
        region_id=field.region_id,
        width=field.size.width,
        height=field.size.height,
        mpp=field.mpp and round(pixel_side(field.mpp), 5),
        unit="px" if field.mpp is None else "µm",
        threshold=round(segmenter.threshold if asked is None else asked, 4),
    )
    _warn_of_scale(work, field)
    try:
        paths, made = work.outputs.paths(field), work.outputs.made(field)
        found = segment_field(segmenter, field, work.settings, paths, made, device=work.device)
    except (WsikdError, OSError) as error:
        return outcome(status="failed", error=_one_line(error))
    seconds = round(time.perf_counter() - start, 2)
    warning = _doubt(field, found)
    if warning:
        work.say(f"warning: {field.name}: {warning}")
    return outcome(**found.model_dump(), seconds=seconds, status="done", warning=warning)


def _doubt(field: Field, found: FieldNuclei) -> str:
    """Write why what was found is probably not nuclei; empty if it may be."""
    remedy = "look at the outlines, and try another --run or --threshold"
    if found.nuclear_fraction > _MOST:
        return f"{found.nuclear_fraction:.0%} of the tissue is called nucleus; {remedy}"
    width = found.median_diameter
    smallest, largest = PLAUSIBLE_UM
    if field.mpp is not None and width is not None and not smallest <= width <= largest:
        return f"the median diameter is {width:.3g} µm, that of nuclei 6 to 10; {remedy}"
    return ""


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


def _outcome_line(status: FieldStatus) -> str:
    name = f"{status.slide_id}/{status.region_id}".rstrip("/")
    if status.status == "failed":
        return f"{name}: failed, {status.error}"
    size = "" if status.median_diameter is None else f", {status.median_diameter:g} {status.unit}"
    return f"{name}: {status.nuclei} nuclei{size}, {status.seconds:.1f} s"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
