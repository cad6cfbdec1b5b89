"""Say what a slide is and what tissue it holds.

Example: wsikd info slide.svs --tissue.mpp 8
"""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from wsikd.cli.console import show, show_json
from wsikd.errors import SlideError
from wsikd.slides import SlideReader, open_slide, resolution_of
from wsikd.tissue import TissueSettings, find_tissue


def info(
    slide: Path,
    /,
    *,
    mpp: float | None = None,
    reader: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    tissue: TissueSettings = TissueSettings(),
) -> int:
    """Say what a slide is and what tissue it holds.

    Parameters
    ----------
    slide
        whole-slide image, or the folder of a DICOM series
    mpp
        µm per pixel of the slide, where its file states none or a wrong one
    reader
        force a slide reader: openslide, tiffslide, image
    json
        print JSON for machines
    """
    with open_slide(slide, reader=reader) as opened:
        facts, problem = _describe(opened, mpp, tissue)
    if json:
        show_json(facts)
    else:
        for name, value in facts.items():
            unknown = "not searched" if name == "tissue" else "not stated"
            show(f"{name:<10} {unknown if value is None else _readable(value)}")
    if problem is not None:
        raise problem
    return 0


def _describe(
    opened: SlideReader, mpp: float | None, tissue: TissueSettings
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
        facts["tissue"] = [
            {
                "region": piece.region_id,
                "box": [piece.box.x, piece.box.y, *piece.box.size],
                "area_mm2": round(
                    piece.outline.area * resolution.mpp.x * resolution.mpp.y / 1e6, 3
                ),
            }
            for piece in find_tissue(opened, resolution.mpp, tissue)
        ]
    except SlideError as error:
        return facts, error
    return facts, None


def _readable(value: Any) -> str:
    if isinstance(value, list):
        lines = [_readable(item) for item in value]
        flat = all(not isinstance(item, dict | str) for item in value)
        return " x ".join(lines) if flat and lines else ("\n" + " " * 11).join(lines) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
