"""Gather what the report shows and fill the page."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

import wsikd
from wsikd.cohort.manifest import source_of
from wsikd.cohort.splits import cohort_digest
from wsikd.errors import CheckpointError, ConfigError, NothingUsableError
from wsikd.evaluation import Metrics, read_metrics
from wsikd.evaluation.documents import EvaluatedRun
from wsikd.evaluation.tables import format_number
from wsikd.files import write_text
from wsikd.pages import data_uri, load_template
from wsikd.report.figures import (
    describe_intervals,
    draw_cost_chart,
    draw_learning_curves,
    draw_reliability,
)
from wsikd.report.numbers import tables_of
from wsikd.report.slides import shown_slides
from wsikd.report.words import headline, run_title
from wsikd.runs import RunFolder, find_runs, pooled_name
from wsikd.runs.pictures import PictureFolder, Pictures


def write_report(runs: Path, manifest: pd.DataFrame, output: Path) -> None:
    """Write the report: one HTML page that needs nothing beside it.

    Parameters
    ----------
    runs : Path
        The folder of all runs, evaluated. Photographs are those of `runs/pictures/`; without it the
        page has the numbers alone.
    manifest : DataFrame
        Slides with labels.
    output : Path
        The page, replaced when it exists.

    Raises
    ------
    ConfigError
        If the output is a folder.
    NothingUsableError
        If the runs were not evaluated yet, one of them is gone, or the manifest has other splits,
        patients or labels than they were evaluated with.
    """
    if output.is_dir():
        raise ConfigError(f"{output}: must be a file, is a folder; name the page")
    metrics = read_metrics(runs)
    if metrics.cohort not in (None, cohort_digest(manifest)):  # older numbers have none
        raise NothingUsableError(
            f"{source_of(manifest)}: its slides, patients, splits or labels have changed since the "
            "evaluation; run wsikd evaluate again"
        )
    folder = PictureFolder(runs)
    pictures = folder.read() or Pictures()
    folders = _by_pooled_name(runs)
    for gone in {run.name for run in metrics.runs} - folders.keys():
        raise NothingUsableError(
            f"{runs / gone}: evaluated, then removed; run wsikd evaluate again"
        )
    now = datetime.now(UTC).astimezone()
    page = load_template("wsikd.report", "page.html", title=run_title)
    text = page.render(
        version=wsikd.__version__,
        made=f"{now.day} {now:%B %Y}",
        cohort=_cohort(manifest),
        metrics=metrics,
        headline=headline(metrics),
        cost_chart=draw_cost_chart(metrics),
        chart_intervals=describe_intervals(metrics),
        **tables_of(metrics),
        reliability=draw_reliability(metrics),
        learning_curves=_learning_curves(metrics, folders),
        picture=lambda name: data_uri(name, folder.read_picture(name)),
        slides=shown_slides(pictures, folder, runs, metrics, manifest),
        failed=pictures.failed,
        regions=pictures.regions,
        explained=list(_explained(folders, metrics)),
        provenance=[_provenance(run, folders[run.name]) for run in metrics.runs],
        settings=_flat(metrics.settings),
    )
    write_text(output, text)


def _by_pooled_name(runs: Path) -> dict[str, list[RunFolder]]:
    folders: dict[str, list[RunFolder]] = defaultdict(list)
    for run in find_runs(runs):
        folders[pooled_name(run.name)].append(run)
    return folders


def _cohort(manifest: pd.DataFrame) -> dict[str, Any]:
    labelled = manifest[(manifest["label"] != "") & (manifest["split"] != "auxiliary")]
    return {
        "slides": len(labelled),
        "patients": labelled["patient_id"].nunique(),
        "classes": labelled["label"].value_counts().sort_index().to_dict(),
    }


def _learning_curves(metrics: Metrics, folders: dict[str, list[RunFolder]]) -> str | None:
    models = [run for run in metrics.runs if not run.kind.is_control]
    logs = [(run, [folder.read_log() for folder in folders[run.name]]) for run in models]
    logged = [(run, of_folds) for run, of_folds in logs if any(of_folds)]
    return draw_learning_curves(logged) if logged else None


def _explained(folders: dict[str, list[RunFolder]], metrics: Metrics) -> Iterator[dict[str, str]]:
    """List the pictures that `wsikd explain` left in the folders of evaluated runs."""
    for run in metrics.runs:
        for folder in folders[run.name]:
            for picture in sorted((folder.path / "explain").glob("*.png")):
                content = picture.read_bytes()
                if not content:
                    remedy = f"run wsikd explain {folder.name} again, or remove it"
                    raise NothingUsableError(f"{picture}: must be a picture, is empty; {remedy}")
                yield {"name": picture.stem, "picture": data_uri(picture.name, content)}


def _provenance(run: EvaluatedRun, folders: list[RunFolder]) -> dict[str, Any]:
    try:
        made = [folder.read_provenance() for folder in folders]
        settings = folders[0].read_settings()
    except (CheckpointError, ConfigError) as error:  # damaged after it was evaluated
        return {"name": run.name, "problem": str(error)}
    first = made[0]
    return {
        "name": run.name,
        "problem": None,
        "folds": run.folds,
        "started": first.started,
        "minutes": format_number(sum(one.seconds or 0 for one in made) / 60),
        "device": first.device,
        "versions": first.versions,
        "inputs": first.inputs,
        "settings": _flat(settings),
    }


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested settings as the command line does."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
