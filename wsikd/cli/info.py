"""Tell what a slide is and what tissue it holds.

Example: wsikd info slide.svs --tissue.mpp 8
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from wsikd.cli.console import Flat, show, show_json
from wsikd.config import Settings
from wsikd.errors import ConfigError, NoTissueError, SlideError
from wsikd.geometry import TissueRegion
from wsikd.slides import ReaderName, SlideReader, open_slide, resolution_of
from wsikd.slides.resolution import Resolution
from wsikd.tissue import TissueSettings, find_tissue


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
    mpp: float | None = None,
    reader: ReaderName | None = None,
    check: Annotated[CheckSettings, Flat] = CheckSettings(),
    json: Annotated[bool, Parameter(negative=())] = False,
    tissue: TissueSettings = TissueSettings(),
) -> int:
    """Tell what a slide is and what tissue it holds.

    Parameters
    ----------
    slide
        whole-slide image, or the folder of a DICOM series
    mpp
        µm per pixel of the slide, where its file states none or a wrong one
    reader
        force a slide reader
    json
        print JSON for machines
    """
    if check.check_mpp and check.model is None:
        raise ConfigError("--check-mpp needs a nuclei segmenter; name its run folder with --model")
    with open_slide(slide, reader=reader) as opened:
        facts, problem = _describe(opened, mpp, tissue, check.model if check.check_mpp else None)
    if json:
        show_json(facts)
    else:
        for name, value in facts.items():
            unknown = "not searched" if name == "tissue" else "not stated"
            told = "none found" if value == [] and name == "tissue" else _readable(value)
            show(f"{name:<10} {unknown if value is None else told}")
    if problem is not None:
        raise problem
    return 0


def _describe(
    opened: SlideReader, mpp: float | None, tissue: TissueSettings, model: Path | None
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
    }
    try:
        resolution = resolution_of(opened, mpp=mpp)
        facts |= {
            "mpp": [round(value, 6) for value in resolution.mpp],
            "mpp from": resolution.source,
            "warnings": list(resolution.warnings),
        }
        pieces = find_tissue(opened, resolution.mpp, tissue)
        facts["tissue"] = [
            {
                "region": piece.region_id,
                "box": [piece.box.x, piece.box.y, *piece.box.size],
                "area_mm2": round(
                    piece.outline.area * resolution.mpp.x * resolution.mpp.y / 1e6, 3
                ),
            }
            for piece in pieces
        ]
        if model is not None:
            facts |= _check(opened, resolution, pieces, model)
    except SlideError as error:
        if isinstance(error, NoTissueError):  # searched in vain, which is not "not searched"
            facts["tissue"] = []
        return facts, error
    return facts, None


def _check(
    opened: SlideReader, resolution: Resolution, pieces: Sequence[TissueRegion], model: Path
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
        "warnings": [*resolution.warnings, *doubts],
    }


def _readable(value: Any) -> str:
    if isinstance(value, list):
        lines = [_readable(item) for item in value]
        flat = all(not isinstance(item, dict | str) for item in value)
        return " x ".join(lines) if flat and lines else ("\n" + " " * 11).join(lines) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
