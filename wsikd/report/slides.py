"""Which slides and regions the report shows, and what it says of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wsikd.errors import StoreError
from wsikd.evaluation.aggregate import aggregate
from wsikd.evaluation.folds import pool_runs
from wsikd.report.pictures import crop_region, draw_thumbnail
from wsikd.report.words import find_subject, run_title
from wsikd.runs import probability_columns
from wsikd.store import RegionRecord, RegionStore

_SLIDE_LIMIT = 24  # keeps the page light; the rest is counted
_REGION_LIMIT = 4
_PIXEL_LIMIT = 50_000_000  # a region is read whole to cut a small square out of it


def shown_slides(
    store: RegionStore, runs: Path, metrics: dict[str, Any], manifest: pd.DataFrame
) -> dict[str, Any]:
    """Describe the slides that are shown: those the report's subject got wrong come first.

    Returns
    -------
    dict
        reader: title of the run whose readings are given; shown: list of slides; rest: number of
        prepared slides that are not shown.
    """
    subject = find_subject(metrics)
    readings = _readings(runs, subject["name"], metrics, manifest)
    labels = manifest.set_index("slide_id")["label"].to_dict()
    order = sorted(
        store.slide_ids(),
        key=lambda slide_id: (
            slide_id not in readings,
            readings.get(slide_id, {}).get("right", False),
            labels.get(slide_id, ""),
            slide_id,
        ),
    )
    return {
        "reader": run_title(subject),
        "shown": [
            _describe(store, slide_id, labels.get(slide_id, ""), readings.get(slide_id))
            for slide_id in order[:_SLIDE_LIMIT]
        ],
        "rest": max(0, len(order) - _SLIDE_LIMIT),
    }


def failed_slides(store: RegionStore) -> list[dict[str, str]]:
    """List the slides that could not be prepared, with the reason.

    Raises
    ------
    StoreError
        If `status.csv` is damaged.
    """
    path = store.path / "status.csv"
    if not path.exists():
        return []
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        failed = table.loc[table["status"] == "failed", ["slide_id", "error"]]
    except (ValueError, KeyError):
        raise StoreError(
            f"{path}: must be a table of outcomes; run wsikd prepare, which writes it anew"
        ) from None
    pairs = zip(failed["slide_id"], failed["error"], strict=True)
    return [{"slide_id": slide_id, "error": error} for slide_id, error in pairs]


def shown_regions(store: RegionStore, manifest: pd.DataFrame) -> list[dict[str, Any]]:
    """Show a large region of one slide per class, at every magnification."""
    prepared = manifest[manifest["slide_id"].isin(store.slide_ids()) & (manifest["label"] != "")]
    firsts = prepared.sort_values(["label", "slide_id"]).groupby("label")["slide_id"].first()
    shown = []
    for label, slide_id in list(firsts.items())[:_REGION_LIMIT]:
        region = _choose_region(store.read_slide(slide_id).regions)
        side_um, crops = crop_region(store, slide_id, region.region_id)
        shown.append(
            {
                "label": label,
                "slide_id": slide_id,
                "region_id": region.region_id,
                "side_um": round(side_um),
                "crops": crops,
            }
        )
    return shown


def _choose_region(regions: Sequence[RegionRecord]) -> RegionRecord:
    by_area = sorted(regions, key=lambda region: region.area_um2)
    light = [region for region in by_area if _finest_pixels(region) <= _PIXEL_LIMIT]
    return light[-1] if light else by_area[0]


def _finest_pixels(region: RegionRecord) -> int:
    return max(level.width * level.height for level in region.levels)


def _readings(
    runs: Path, name: str, metrics: dict[str, Any], manifest: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    settings = metrics["settings"]
    pooled, _ = pool_runs(
        runs, manifest, checkpoint=settings["checkpoint"], split=settings["split"]
    )
    run = next((one for one in pooled if one.name == name), None)
    if run is None:
        return {}
    table = aggregate(run.predictions, run.classes, "slide").reset_index()
    probabilities = table[probability_columns(run.classes)].to_numpy()
    return {
        slide_id: {
            "reading": run.classes[index],
            "probability": f"{100 * row[index]:.0f} %",
            "right": run.classes[index] == label,
        }
        for slide_id, label, row, index in zip(
            table["slide_id"], table["label"], probabilities, probabilities.argmax(1), strict=True
        )
    }


def _describe(
    store: RegionStore, slide_id: str, label: str, reading: dict[str, Any] | None
) -> dict[str, Any]:
    record = store.read_slide(slide_id)
    pieces = len(record.regions)
    return {
        "slide_id": slide_id,
        "label": label,
        "reading": reading,
        "picture": draw_thumbnail(store, slide_id),
        "pieces": f"{pieces} piece{'' if pieces == 1 else 's'}",
        "mpp": f"{sum(record.mpp) / 2:.3g}",
        "warnings": record.warnings,
    }
