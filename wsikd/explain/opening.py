"""What explanations start from: the networks of runs, and patches that they read alike."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wsikd.data.pairs import Shown, open_views
from wsikd.data.patches import PatchSettings, PatchSource, open_patches
from wsikd.data.statistics import standardise
from wsikd.errors import CheckpointError, ConfigError, NothingUsableError
from wsikd.geometry import Pixels, format_magnification
from wsikd.methods.pair_settings import PairSettings
from wsikd.models.network import Network
from wsikd.models.weights import ModelDescription, load_model
from wsikd.runs import Branch, Checkpoint, RunFolder, find_run, is_pattern, runs_called
from wsikd.training.device import choose_device
from wsikd.workspace import Workspace


class LookSettings(PatchSettings):
    """Which networks look at which patches; by default those the first run was trained on."""

    branch: Branch = Field("primary", description="branch of paired runs whose encoder is taken")
    checkpoint: Checkpoint = Field("best", description="best validation loss, or last epoch")
    seed: int = Field(0, ge=0, description="of the choice of patches")
    device: str = Field("auto", description="such as cpu or cuda:1; auto: a GPU if there is one")


@dataclass(frozen=True)
class OpenedRun:
    """A run and the network it trained."""

    folder: RunFolder
    model: Network
    description: ModelDescription
    device: torch.device

    @property
    def name(self) -> str:
        return self.folder.name

    def ready(self, images: Sequence[Pixels]) -> Tensor:
        """Standardise images of one size for this network, shape (B, 3, height, width)."""
        batch = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2)
        return standardise(batch.float() / 255, self.description.mean, self.description.std)


@dataclass(frozen=True)
class Patches:
    """Patches chosen at random, the same number of every label as far as there are as many.

    Attributes
    ----------
    names : tuple of str
        Slide and place, or image.
    labels : tuple of str
        Empty where unknown.
    pixels : tuple of ndarray of uint8, shape (height, width, 3)
    split : str
        The split they are from; empty if all were chosen from.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    pixels: tuple[Pixels, ...]
    split: str

    def __len__(self) -> int:
        return len(self.names)

    def batches(self, size: int) -> Iterator[slice]:
        """Deal them into batches of about equal sizes, none above `size`."""
        bounds = np.linspace(0, len(self), -(-len(self) // size) + 1).round().astype(int)
        yield from (slice(*pair) for pair in pairwise(bounds.tolist()))


def open_runs(names: Sequence[str], runs: Path, settings: LookSettings) -> list[OpenedRun]:
    """Load the networks of runs, which have to read the same magnification.

    A name may have its folder before it, and may be a pattern such as "pair-*".

    Raises
    ------
    CheckpointError
        If a run does not exist or has no network.
    ConfigError
        If a run is named twice, or two networks read pixels of different magnifications.
    """
    chosen = [run for name in names for run in _runs_like(name, runs)]
    counts = Counter(run.name for run in chosen)
    for name, count in counts.items():
        if count > 1:
            raise ConfigError(f"runs to compare must differ, got {name} twice")
    opened = [_open_run(run, settings) for run in chosen]
    for first, other in pairwise(opened):
        if other.description.magnification != first.description.magnification:
            raise ConfigError(
                "runs to compare must read the same magnification, "
                f"{first.name} reads {format_magnification(first.description.magnification)}, "
                f"{other.name} {format_magnification(other.description.magnification)}"
            )
    return opened


def choose_patches(
    run: OpenedRun, settings: LookSettings, count: int, workspace: Workspace
) -> Patches:
    """Choose patches at random: of the test split where there is one, else of all.

    Parameters
    ----------
    run : OpenedRun
        Where settings are silent it decides which patches: those it was trained on, as its branch
        read them, or for a run on whole regions those of the region store at its magnification.
    settings : LookSettings
        Which patches.
    count : int
        How many at most.
    workspace : Workspace
        Holds the regions.

    Raises
    ------
    ConfigError
        If the patches have another magnification than the network reads.
    NothingUsableError
        If there is none.
    """
    source = open_patches(_patch_settings(run, settings), workspace)
    view = _view(run, settings, source)
    reads = run.description.magnification
    if view.magnification != reads:
        raise ConfigError(
            f"{run.name} reads {format_magnification(reads)}, the images are "
            f"{format_magnification(view.magnification)}; choose others with --images or --mag"
        )
    rows, split = _tested_rows(source, run.folder.read_provenance().fold)
    if not rows:
        raise NothingUsableError("no patch to look at; choose others with --images, --mag, --patch")
    items = source.items
    chosen = _deal([items[row].label for row in rows], count, settings.seed)
    rows = [rows[place] for place in chosen]
    # in the source's order, in which neighbours are read from one region
    read = {row: view.read(row) for row in sorted(rows)}
    return Patches(
        tuple(source.name(row) for row in rows),
        tuple(items[row].label for row in rows),
        tuple(read[row] for row in rows),
        split,
    )


def _runs_like(name: str, runs: Path) -> list[RunFolder]:
    if not is_pattern(name):
        return [find_run(runs, name)]
    made = {run: run.read_provenance() for run in runs_called(runs, name)}
    alike = [run for run, one in made.items() if one.kind.has_encoder and one.status == "complete"]
    return alike or [find_run(runs, name)]  # which says that there is none


def _open_run(run: RunFolder, settings: LookSettings) -> OpenedRun:
    made = run.read_provenance()
    if not made.kind.has_encoder:
        raise CheckpointError(f"{run.path}: is a {made.method}; name a run with an encoder")
    if made.status != "complete":
        raise CheckpointError(f"{run.path}: is not finished; go on with `{made.kind.command}`")
    path = run.model_path(settings.checkpoint, settings.branch)
    if not path.exists():
        raise CheckpointError(f"{path}: no such network in this {made.method} run")
    model, description = load_model(path)
    device = choose_device(settings.device)
    return OpenedRun(run, model.to(device), description, device)


_PLACES = ("images", "test_images", "table")  # settings that say where patches are from


def _stated(settings: LookSettings) -> dict[str, Any]:
    """Return the settings of patches that were not left at their defaults."""
    names = settings.model_fields_set & PatchSettings.model_fields.keys()
    return {name: getattr(settings, name) for name in names}


def _patch_settings(run: OpenedRun, settings: LookSettings) -> PatchSettings:
    stated = _stated(settings)
    made = run.folder.read_settings()
    own = {name: made[name] for name in PatchSettings.model_fields if name in made}
    if any(stated.get(name) for name in _PLACES):
        own = {}
    elif "patch" not in own:
        own = {"mag": run.description.magnification}
    return PatchSettings(**{**own, **stated})


def _view(run: OpenedRun, settings: LookSettings, source: PatchSource) -> Shown:
    """Return what the branch sees of the patches; images that are stated are taken as they are."""
    stated, made = _stated(settings), run.folder.read_settings()
    if "pairing" not in made or any(stated.get(name) for name in _PLACES):
        return source
    paired = PairSettings(**{**made, **stated})
    return open_views(paired, source)[settings.branch]


def _tested_rows(source: PatchSource, fold: int | None) -> tuple[list[int], str]:
    table = source.table
    tested = table["split"] == "test" if fold is None else table["fold"] == str(fold)
    if tested.any():
        return [int(row) for row in np.flatnonzero(tested)], "test"
    return list(range(len(table))), ""


def _deal(labels: Sequence[str], count: int, seed: int) -> list[int]:
    """Choose places at random, label by label in turn."""
    places = np.random.default_rng(seed).permutation(len(labels))
    turns: Counter[str] = Counter()
    ranked = []
    for place in places:
        label = labels[place]
        ranked.append((turns[label], label, int(place)))
        turns[label] += 1
    return [place for _, _, place in sorted(ranked)[:count]]
