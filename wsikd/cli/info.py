"""Tell what a slide is, what tissue it holds and what prepare would write of it.

Example: wsikd info slide.svs --tissue.mpp 8
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from wsikd.cli.console import Flat, show, show_json
from wsikd.config import Settings
from wsikd.errors import ConfigError, NoTissueError, SlideError
from wsikd.geometry import Mpp, TissueRegion, format_magnification
from wsikd.prepare.estimate import Estimate, estimate_slide
from wsikd.prepare.settings import SlideSettings
from wsikd.slides import SlideReader, open_slide, resolution_of
from wsikd.slides.resolution import Resolution
from wsikd.tissue import search_tissue
from wsikd.words import bytes_text, counted, pixels_text, time_text

_UNKNOWN = {"tissue": "not searched", "writes": "not known", "left out": "not known"}


class CheckSettings(Settings):
    """Whether µm per pixel are held against the size of nuclei, and what finds those."""

    check_mpp: bool = Field(
        False, description="measure nuclei; warn if µm per pixel are probably 2 times off"
    )
    model: Path | None = Field(None, description="run of wsikd segment train, for --check-mpp")


def info(
    slide: Path,
    /,
    *,
    settings: Annotated[SlideSettings, Flat] = SlideSettings(),
    check: Annotated[CheckSettings, Flat] = CheckSettings(),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Tell what a slide is, what tissue it holds and what prepare would write of it.

    Parameters
    ----------
    slide
        whole-slide image, or the folder of a DICOM series
    json
        print JSON for machines
    """
    if check.check_mpp and check.model is None:
        raise ConfigError("--check-mpp needs a nuclei segmenter; name its run folder with --model")
    with open_slide(slide, reader=settings.reader) as opened:
        facts, problem = _describe(opened, settings, check.model if check.check_mpp else None)
    if json:
        show_json(facts)
    else:
        for name, value in facts.items():
            known = _UNKNOWN.get(name, "not stated") if value is None else value
            show(f"{name:<10} {_tell_writes(known) if name == 'writes' else _readable(known)}")
    if problem is not None:
        raise problem
    return 0


def _describe(
    opened: SlideReader, settings: SlideSettings, model: Path | None
) -> tuple[dict[str, Any], SlideError | None]:
    """Collect what can be told, and the error that kept the rest from being told."""
    facts: dict[str, Any] = {
        "slide": opened.path.name,
        "format": opened.format,
        "reader": opened.version,
        "size": list(opened.size),
        "levels": [
            {"size": list(size), "downsample": [round(down, 4) for down in downsample]}
            for size, downsample in zip(opened.level_sizes, opened.level_downsamples, strict=True)
        ],
        "objective": opened.objective_power,
        "mpp": None,
        "mpp from": None,
        "warnings": [],
        "tissue": None,  # not searched yet
        "writes": None,
        "left out": None,
    }
    try:
        resolution = resolution_of(opened, mpp=settings.mpp)
        facts |= {
            "mpp": [round(value, 6) for value in resolution.mpp],
            "mpp from": resolution.source,
            "warnings": [*resolution.warnings, *opened.notes],
        }
        facts["tissue"] = []  # that it was searched is known, even where the search is refused
        start = time.perf_counter()
        pieces, doubts = search_tissue(opened, resolution.mpp, settings.tissue)
        searched = time.perf_counter() - start
        facts["warnings"] += doubts
        facts["tissue"] = [_describe_piece(piece, resolution.mpp) for piece in pieces]
        estimate = estimate_slide(opened, resolution.mpp, pieces, settings, searched)
        facts |= _describe_estimate(estimate)
        if model is not None:
            facts |= _check(opened, resolution, facts["warnings"], pieces, model)
    except SlideError as error:
        if isinstance(error, NoTissueError):  # searched in vain, which is not "not searched"
            facts["tissue"] = []
        return facts, error
    return facts, None


def _describe_piece(piece: TissueRegion, mpp: Mpp) -> dict[str, Any]:
    return {
        "region": piece.region_id,
        "box": [piece.box.x, piece.box.y, *piece.box.size],
        "area_mm2": round(piece.outline.area * mpp.x * mpp.y / 1e6, 3),
    }


def _describe_estimate(estimate: Estimate) -> dict[str, Any]:
    """Tell what prepare would write and leave out."""
    levels = [
        {
            "magnification": level.magnification,
            "pixels": level.pixels,
            "estimated_bytes": level.bytes,
        }
        for level in estimate.levels
    ]
    writes = {
        "regions": estimate.regions,
        "pixels_read": estimate.region_pixels,
        "levels": levels,
        "estimated_bytes": estimate.bytes,
        "estimated_seconds": estimate.seconds,
    }
    return {"writes": writes, "left out": list(estimate.left_out)}


def _tell_writes(writes: dict[str, Any] | str) -> str:
    if isinstance(writes, str):
        return writes
    levels = (
        f"{format_magnification(level['magnification'])}, {pixels_text(level['pixels'])}, "
        f"about {bytes_text(level['estimated_bytes'])}"
        for level in writes["levels"]
    )
    whole = (
        f"{counted(writes['regions'], 'region')}, {pixels_text(writes['pixels_read'])} read, "
        f"about {bytes_text(writes['estimated_bytes'])} and "
        f"{time_text(writes['estimated_seconds'])} on this machine, by a few samples"
    )
    return _readable([*levels, whole])


def _check(
    opened: SlideReader,
    resolution: Resolution,
    warnings: Sequence[str],
    pieces: Sequence[TissueRegion],
    model: Path,
) -> dict[str, Any]:
    """Collect what nuclei say of the resolution."""
    from wsikd.nuclei.check_mpp import check_mpp  # noqa: PLC0415
    from wsikd.nuclei.trained import open_segmenter  # noqa: PLC0415
    from wsikd.runs import RunFolder  # noqa: PLC0415  torch, only where it is asked for

    found = check_mpp(opened, resolution.mpp, pieces, open_segmenter(RunFolder(model)))
    width = None if found.diameter_um is None else round(found.diameter_um, 2)
    doubts = () if found.warning is None else (found.warning,)
    if found.unjudged is not None:
        return {"nuclei": f"not judged: {found.unjudged}"}
    return {
        "nuclei": {"measured": found.nuclei, "median_um": width},
        "warnings": [*warnings, *doubts],
    }


def _readable(value: Any) -> str:
    if isinstance(value, list):
        lines = [_readable(item) for item in value]
        flat = all(not isinstance(item, dict | str) for item in value)
        return " x ".join(lines) if flat and lines else ("\n" + " " * 11).join(lines) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
