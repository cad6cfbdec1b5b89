"""What networks look at: Grad-CAM of random patches, as one picture and as numbers.

`explain_runs` writes into `runs/<run>/explain/`, under the run's name or `<run>-beside-<other>`,
with `-privileged` behind it for that branch:

* .png: some of the patches, and what every layer looks at
* .csv: one row per run, patch and layer, with the columns of `COLUMNS`
* .json: an `ExplainDocument`
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from wsikd.config import Settings
from wsikd.errors import ConfigError
from wsikd.evaluation.metrics import Floats
from wsikd.explain.gradcam import grad_cam
from wsikd.explain.layers import measure_strides
from wsikd.explain.opening import LookSettings, OpenedRun, Patches, choose_patches, open_runs
from wsikd.explain.saliency_figure import Looked, draw_saliency
from wsikd.files import replacing, write_json
from wsikd.geometry import Pixels
from wsikd.workspace import Workspace

COLUMNS = {
    "run": "name",
    "patch": "slide and place, or image",
    "label": "of the patch, if known",
    "target": "class the map is about; empty for an encoder without classes",
    "layer": "as the network names it: stem, layer1, ... layer4 of a ResNet",
    "focus": "smallest share of the patch that holds half of the map; 0.5 if it is even",
    "darkness": "mean darkness weighted by the map, over the patch's; above 1: dark places",
    "agreement": "correlation with the map of the other run's layer of this name, over the pixels",
}
MEASURES = ("focus", "darkness", "agreement")
_BATCH = 16  # patches at a time


class ExplainSettings(LookSettings):
    """What is explained."""

    count: int = Field(64, ge=1, description="patches the numbers are of, chosen at random")
    shown: int = Field(6, ge=1, le=20, description="of them shown in the picture")
    target: str | None = Field(
        None, description="class that is explained; unset: the one each patch is given"
    )


class LayerMeans(Settings):
    """The mean numbers of one layer of one run; null where they are undefined."""

    run: str
    layer: str
    focus: float | None
    darkness: float | None
    agreement: float | None


class ExplainDocument(Settings):
    """What the pictures of one or two runs were made of, and the means over the patches."""

    settings: dict[str, Any] = Field(description="the resolved settings of explain")
    split: str = Field(description="that the patches are from; empty if all were chosen from")
    patches: int = Field(description="how many")
    targets: dict[str, str] = Field(description="run to what its maps are about, in words")
    means: tuple[LayerMeans, ...]


class Explanation(NamedTuple):
    """What `explain_runs` wrote.

    Attributes
    ----------
    picture, table, summary : Path
        PNG, CSV and JSON.
    means : DataFrame
        Mean focus, darkness and agreement per run and layer.
    abouts : dict of str to str
        What the maps of each run are about, in words.
    """

    picture: Path
    table: Path
    summary: Path
    means: pd.DataFrame
    abouts: dict[str, str]


def explain_runs(
    names: Sequence[str], settings: ExplainSettings, workspace: Workspace
) -> Explanation:
    """Show what one network looks at, or two side by side on the same patches.

    Parameters
    ----------
    names : sequence of str
        One or two runs.
    settings : ExplainSettings
        Which patches, and what about them.
    workspace : Workspace
        Holds the runs, and the regions unless images are stated.

    Raises
    ------
    CheckpointError
        If a run does not exist or has no network.
    ConfigError
        If the runs read different magnifications, or a network does not know the target.
    """
    opened = open_runs(names, workspace.runs, settings)
    indices = [_target_index(run, settings.target) for run in opened]
    patches = choose_patches(opened[0], settings, settings.count, workspace)
    looked = [Looked(run.name, run.description, measure_strides(run.model)) for run in opened]
    rows: list[dict[str, Any]] = []
    for batch in patches.batches(_BATCH):
        found = [
            grad_cam(run.model, run.ready(patches.pixels[batch]), target=index)
            for run, index in zip(opened, indices, strict=True)
        ]
        for one, saliency in zip(looked, found, strict=True):
            one.add(saliency, settings.shown)
        maps = [{name: each.cpu().numpy() for name, each in one.maps.items()} for one in found]
        for place, number in enumerate(range(*batch.indices(len(patches)))):
            of_patch = [{name: each[place] for name, each in one.items()} for one in maps]
            rows += _measure(patches, number, looked, of_patch)
    return _write(opened, patches, looked, pd.DataFrame(rows, columns=list(COLUMNS)), settings)


def focus(saliency: Floats) -> float:
    """Compute the smallest share of an image that holds half of a map; NaN if the map is 0.

    Examples
    --------
    >>> focus(np.array([[8.0, 1.0], [1.0, 0.0]]))
    0.25
    """
    sums = np.sort(saliency.astype(np.float64), axis=None)[::-1].cumsum()
    if sums[-1] <= 0:
        return float("nan")
    return float(np.searchsorted(sums, sums[-1] / 2) + 1) / saliency.size


def darkness(saliency: Floats, pixels: Pixels) -> float:
    """Compute how much darker than the image is what a map lies on, as a ratio; NaN if undefined.

    Examples
    --------
    >>> half_black = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    >>> darkness(np.array([[1.0, 0.0]]), half_black)
    2.0
    """
    dark = 255.0 - pixels.mean(2)
    weights = saliency.astype(np.float64)
    if weights.sum() <= 0 or dark.sum() <= 0:
        return float("nan")
    return float((weights * dark).sum() / weights.sum() / dark.mean())


def agreement(first: Floats, second: Floats) -> float:
    """Compute the correlation of two maps over the pixels; NaN if one is the same everywhere."""
    one, other = (each.astype(np.float64) - each.mean(dtype=np.float64) for each in (first, second))
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 0 else float("nan")


def _measure(
    patches: Patches, number: int, looked: Sequence[Looked], maps: Sequence[dict[str, Floats]]
) -> Iterator[dict[str, Any]]:
    for place, run in enumerate(looked):
        others = [one for other, one in enumerate(maps) if other != place]
        beside = others[0] if others else {}
        for layer, saliency in maps[place].items():
            same = beside.get(layer)
            yield {
                "run": run.name,
                "patch": patches.names[number],
                "label": patches.labels[number],
                "target": run.targets[number],
                "layer": layer,
                "focus": focus(saliency),
                "darkness": darkness(saliency, patches.pixels[number]),
                "agreement": float("nan") if same is None else agreement(saliency, same),
            }


def _write(
    opened: Sequence[OpenedRun],
    patches: Patches,
    looked: Sequence[Looked],
    table: pd.DataFrame,
    settings: ExplainSettings,
) -> Explanation:
    stem = "-beside-".join(run.name for run in opened)
    stem += "" if settings.branch == "primary" else f"-{settings.branch}"
    folder = opened[0].folder.path / "explain"
    picture, csv, summary = (folder / f"{stem}{suffix}" for suffix in (".png", ".csv", ".json"))
    with replacing(picture) as temporary:
        draw_saliency(patches, looked, temporary)
    with replacing(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    means = table.groupby(["run", "layer"], sort=False)[list(MEASURES)].mean()
    abouts = {one.name: one.about for one in looked}
    document = ExplainDocument(
        settings=settings.model_dump(mode="json"),
        split=patches.split,
        patches=len(patches),
        targets=abouts,
        means=tuple(_layer_means(row) for row in means.reset_index().to_dict("records")),
    )
    write_json(summary, document.model_dump(mode="json"))
    return Explanation(picture, csv, summary, means.dropna(axis="columns", how="all"), abouts)


def _target_index(run: OpenedRun, target: str | None) -> int | None:
    if target is None:
        return None
    classes = run.description.classes
    if target not in classes:
        known = f"knows {', '.join(classes)}" if classes else "is an encoder without classes"
        raise ConfigError(f"--target must be a class of {run.name}, which {known}; got {target!r}")
    return classes.index(target)


def _layer_means(row: dict[Any, Any]) -> LayerMeans:
    return LayerMeans(**{name: None if pd.isna(value) else value for name, value in row.items()})
