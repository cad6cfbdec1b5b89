"""Are representations different? CKA between the layers of runs, as one picture and as numbers.

Runs whose names differ in seed or fold only are a group. `compare_runs` writes into
`runs/cka-<group>[-<group>...]/`, which is no run as it holds no `run.json`:

* cka.png: a matrix of layers within and between the groups, and the same layers compared
* cka.csv: one row per comparison and pair of layers, with the columns of `COLUMNS`
* cka.json: a `CkaDocument`
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from torch import Tensor

from wsikd.config import Settings
from wsikd.errors import CheckpointError, ConfigError
from wsikd.explain.cka import FEWEST_IMAGES, Similarity, compare_layers
from wsikd.explain.opening import LookSettings, OpenedRun, Patches, choose_patches, open_runs
from wsikd.explain.seeds import Comparison, Member, Separation, compare_groups, layer_names
from wsikd.explain.similarity_figure import draw_similarity
from wsikd.files import replacing, write_json
from wsikd.workspace import Workspace

COLUMNS = {
    "first": "group",
    "second": "group; the same for pairs of runs within it",
    "pairs": "of runs, that were averaged",
    "first_layer": "as the network names it: stem, layer1, ... layer4 of a ResNet",
    "second_layer": "of the second group's runs",
    "cka": "mean over the pairs; 1 is the same but for rotation and scale, 0 is unrelated",
    "low": "95 % interval over seeds; empty with fewer than three runs in a group",
    "high": "its other end",
    "chance_low": "95 % of values with the images of one side shuffled are above",
    "chance_high": "and below",
}
Row = tuple[float, ...]
Matrix = tuple[Row, ...]

SMALLEST_BATCH = 2 * FEWEST_IMAGES - 1  # whatever is left over, none then has fewer than four
_NAMED = 3  # groups that a folder is named after


class CkaSettings(LookSettings):
    """How representations are compared."""

    count: int = Field(512, ge=FEWEST_IMAGES, description="patches, chosen at random")
    batch: int = Field(64, ge=SMALLEST_BATCH, description="patches compared at a time")
    shuffles: int = Field(200, ge=20, description="times one side is shuffled, for chance")
    draws: int = Field(2000, ge=100, description="bootstrap draws of the runs of each group")


class ComparedRun(Settings):
    """A run that was compared."""

    name: str
    regime: str = Field(description="group that it belongs to")
    seed: int


class ComparisonRecord(Settings):
    """A `Comparison`: matrices of the first group's layers by the second's."""

    first: str
    second: str
    first_layers: tuple[str, ...]
    second_layers: tuple[str, ...]
    pairs: int
    same_seed: bool
    value: Matrix
    low: Matrix | None
    high: Matrix | None
    chance_low: Matrix
    chance_high: Matrix


class SeparationRecord(Settings):
    """A `Separation`: one number per layer."""

    first: str
    second: str
    layers: tuple[str, ...]
    value: Row
    low: Row | None
    high: Row | None


class CkaDocument(Settings):
    """What was compared, and how alike it is."""

    settings: dict[str, Any] = Field(description="the resolved settings of cka")
    split: str = Field(description="that the images are from; empty if all were chosen from")
    images: int = Field(description="how many")
    layers: tuple[str, ...]
    runs: tuple[ComparedRun, ...]
    comparisons: tuple[ComparisonRecord, ...]
    separations: tuple[SeparationRecord, ...]


class Compared(NamedTuple):
    """What `compare_runs` wrote.

    Attributes
    ----------
    picture, table, summary : Path
        PNG, CSV and JSON.
    comparisons : list of Comparison
        Within and between groups.
    separations : list of Separation
        How far apart two groups are.
    """

    picture: Path
    table: Path
    summary: Path
    comparisons: list[Comparison]
    separations: list[Separation]

    def same_layers(self) -> pd.DataFrame:
        """Return CKA of every layer with the same layer, and its interval, one row per comparison.

        Cells are empty where the networks compared have no such layer, or other layers each.
        """
        rows = [
            {"first": one.first, "second": one.second, "pairs": one.pairs}
            | dict.fromkeys(layer_names(self.comparisons), "")
            | {layer: _said(one, place) for place, layer in _same_layers(one)}
            for one in self.comparisons
        ]
        return pd.DataFrame(rows)


def compare_runs(names: Sequence[str], settings: CkaSettings, workspace: Workspace) -> Compared:
    """Compare what the layers of networks represent, within groups and between them.

    Parameters
    ----------
    names : sequence of str
        Two runs or more; of several seeds for intervals.
    settings : CkaSettings
        Which patches, and how.
    workspace : Workspace
        Holds the runs, and the regions unless images are stated.

    Raises
    ------
    ConfigError
        If there are fewer than two runs or four images, the runs read different magnifications, or
        those of one group have different layers.
    CheckpointError
        If a run does not exist, has no network, or one that returns the same for every image.
    """
    opened = open_runs(names, workspace.runs, settings)
    if len(opened) < 2:
        raise ConfigError(f"runs to compare must be at least 2, got {len(opened)}")
    members = [_member(run) for run in opened]
    _refuse_mixed_groups(opened, members)
    patches = choose_patches(opened[0], settings, settings.count, workspace)
    if len(patches) < FEWEST_IMAGES:
        raise ConfigError(
            f"images must be at least {FEWEST_IMAGES} to compare runs, got {len(patches)}"
        )
    similarity = compare_layers(
        [run.model for run in opened],
        _views(opened, patches, settings.batch),
        shuffles=settings.shuffles,
        seed=settings.seed,
    )
    _refuse_collapsed(similarity, opened)
    comparisons, separations = compare_groups(
        similarity, members, draws=settings.draws, seed=settings.seed
    )
    return _write(patches, members, comparisons, separations, settings, workspace)


def group_of(name: str) -> str:
    """Return a run's group: its name without seed and fold.

    Examples
    --------
    >>> group_of("pair-downsample-vicreg-fold1-seed2")
    'pair-downsample-vicreg'
    """
    return re.sub(r"-(fold|seed)\d+", "", name)


def folder_name(groups: Sequence[str]) -> str:
    """Name the folder of a comparison after its groups, the first three of them if there are more.

    Examples
    --------
    >>> folder_name(["a", "b", "a"]), folder_name(["a", "b", "c", "d", "e"])
    ('cka-a-b', 'cka-a-b-c-and-2-more')
    """
    named = list(dict.fromkeys(groups))
    more = len(named) - _NAMED
    return "-".join(["cka", *named[:_NAMED]]) + (f"-and-{more}-more" if more > 0 else "")


def _member(run: OpenedRun) -> Member:
    return Member(run.name, group_of(run.name), run.folder.read_provenance().seed)


def _views(opened: Sequence[OpenedRun], patches: Patches, size: int) -> Iterator[list[Tensor]]:
    for batch in patches.batches(size):
        yield [run.ready(patches.pixels[batch]) for run in opened]


def _refuse_mixed_groups(opened: Sequence[OpenedRun], members: Sequence[Member]) -> None:
    firsts: dict[str, OpenedRun] = {}
    for run, member in zip(opened, members, strict=True):
        first = firsts.setdefault(member.group, run)
        if list(run.model.stages()) != list(first.model.stages()):
            raise ConfigError(
                f"runs of one group must have the same layers, {first.name} is a "
                f"{first.description.architecture} and {run.name} a "
                f"{run.description.architecture}; compare those of one architecture"
            )


def _refuse_collapsed(similarity: Similarity, opened: Sequence[OpenedRun]) -> None:
    values = iter(similarity.observed.diagonal())
    for run, layers in zip(opened, similarity.layers, strict=True):
        for layer, value in zip(layers, values, strict=False):
            if np.isnan(value):
                raise CheckpointError(
                    f"{run.folder.path}: its {layer} gives the same features for every image, so "
                    "there is nothing to compare; leave the run out"
                )


def _write(
    patches: Patches,
    members: Sequence[Member],
    comparisons: list[Comparison],
    separations: list[Separation],
    settings: CkaSettings,
    workspace: Workspace,
) -> Compared:
    folder = workspace.runs / folder_name([member.group for member in members])
    picture, csv, summary = (folder / f"cka{suffix}" for suffix in (".png", ".csv", ".json"))
    with replacing(picture) as temporary:
        draw_similarity(comparisons, separations, patches, temporary)
    with replacing(csv) as temporary:
        rows = [row for one in comparisons for row in _rows(one)]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        table.to_csv(temporary, index=False, float_format="%.6g")
    document = CkaDocument(
        settings=settings.model_dump(mode="json"),
        split=patches.split,
        images=len(patches),
        layers=tuple(layer_names(comparisons)),
        runs=tuple(ComparedRun(name=one.name, regime=one.group, seed=one.seed) for one in members),
        comparisons=tuple(ComparisonRecord(**_plain(one)) for one in comparisons),
        separations=tuple(SeparationRecord(**_plain(one)) for one in separations),
    )
    write_json(summary, document.model_dump(mode="json"))
    return Compared(picture, csv, summary, comparisons, separations)


def _rows(one: Comparison) -> Iterator[dict[str, Any]]:
    matrices = {"cka": one.value, "low": one.low, "high": one.high}
    matrices |= {"chance_low": one.chance_low, "chance_high": one.chance_high}
    for row, first in enumerate(one.first_layers):
        for column, second in enumerate(one.second_layers):
            yield {
                "first": one.first,
                "second": one.second,
                "pairs": one.pairs,
                "first_layer": first,
                "second_layer": second,
                **{
                    name: None if each is None else each[row, column]
                    for name, each in matrices.items()
                },
            }


def _same_layers(one: Comparison) -> Iterator[tuple[int, str]]:
    if one.of_same_layers:
        yield from enumerate(one.first_layers)


def _said(one: Comparison, place: int) -> str:
    said = f"{one.value[place, place]:.2f}"
    if one.low is None or one.high is None:
        return said
    return f"{said} [{one.low[place, place]:.2f}, {one.high[place, place]:.2f}]"


def _plain(one: Comparison | Separation) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in one._asdict().items()
    }
