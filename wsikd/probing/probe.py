"""Probing frozen encoders: what a linear layer, or neighbours, can read from their embeddings.

Section 3 of "More From Less" [1]_, with folds, seeds, shares of the training patches, and controls
beside every encoder: the most common class, and colour alone. `probe-metrics.json`, or
`probe-metrics-<name>-<how>.json` with a name for the patches or another branch or classifier than
by default, is a `ProbeMetrics`.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from wsikd.config import Settings
from wsikd.data.patches import PatchSettings
from wsikd.evaluation.seed_tables import seeds_table
from wsikd.evaluation.seeds import (
    About,
    ScoredSeeds,
    SeedDifference,
    SeedGroup,
    SeedSettings,
    compare_all,
    score_seeds,
    seedless_name,
)
from wsikd.files import replacing, write_json
from wsikd.hashing import text_digest
from wsikd.probing.candidates import Answering
from wsikd.probing.labelled_patches import LabelledPatches
from wsikd.probing.line_up import LinedUp, line_up
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import (
    PREDICTION_COLUMNS,
    Provenance,
    RunFolder,
    pooled_name,
    probability_columns,
    run_name,
)
from wsikd.training.determinism import deterministic
from wsikd.training.device import choose_device
from wsikd.training.display import Display
from wsikd.training.distributed import first_alone, from_first, held_by_first, wait
from wsikd.workspace import Workspace


class ProbeMetrics(Settings):
    """The numbers of all probes of one call."""

    format: Literal["wsikd-probe-metrics"] = "wsikd-probe-metrics"
    version: Literal[1] = 1
    settings: dict[str, Any] = Field(description="the resolved settings of probe")
    arms: tuple[ScoredSeeds, ...] = Field(description="runs that differ in their seed alone")
    differences: tuple[SeedDifference, ...]
    notes: tuple[str, ...] = Field(description="what a reader of the numbers should know")


@dataclass
class _Answers:
    """What the runs of all seeds predicted of the tested patches: by run, a table for each fold."""

    lined_up: LinedUp
    percent: float
    tables: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def group(self, name: str) -> SeedGroup:
        patches = self.lined_up.patches
        about = About(
            name=name,
            control=self.lined_up.candidate.identity.is_control,
            patches=patches.name,
            view=patches.view,
            magnification=patches.magnification,
            percent=self.percent,
        )
        tables = {run: pd.concat(parts) for run, parts in self.tables.items()}
        return SeedGroup(about, patches.classes, tables)


def probe(
    workspace: Workspace,
    names: Sequence[str],
    settings: ProbeSettings,
    patches: PatchSettings | None,
    seeds: SeedSettings,
) -> ProbeMetrics:
    """Probe the encoders of runs, and controls beside them; what is done is not redone.

    Inside `wsikd.training.distributed.joined` all processes that torchrun started read patches and
    train together; the first alone fits, scores and writes.

    Parameters
    ----------
    workspace : Workspace
        Holds the runs; gets those of the probes, and `runs/probe-metrics.json` and `.csv`, of the
        last call with this name, branch and classifier.
    names : sequence of str
        Of the runs; see `wsikd.probing.encoders.find_encoders`.
    settings : ProbeSettings
        How to probe.
    patches : PatchSettings or None
        Labelled patches to probe on; None: those that each run learnt from.
    seeds : SeedSettings
        How the answers become numbers.

    Returns
    -------
    ProbeMetrics
        What was written to `probe-metrics.json`.

    Raises
    ------
    CheckpointError
        If a run is missing or not finished.
    ConfigError
        If the patches are not the run's own and have no name.
    LeakageError
        If a run was taught from labels of patients it would be tested on, or has seen tested
        patches that it was to leave alone, or a tested patch is among the training patches.
    ResumeError
        If a probe exists with other settings or inputs.
    BusyError
        If another process is at the same probe.
    """
    with first_alone():
        lined_up, notes = line_up(workspace, names, settings, patches)
    answers: dict[str, _Answers] = {}
    with deterministic(asked=settings.deterministic):
        for one in lined_up:
            for name, percent, table in _carry_out(one, workspace, settings):
                known = answers.setdefault(seedless_name(name), _Answers(one, percent))
                known.tables.setdefault(pooled_name(name), []).append(table)
    groups = [known.group(name) for name, known in answers.items()]
    return from_first(partial(_score, workspace, groups, notes, settings, seeds))


def _score(
    workspace: Workspace,
    groups: Sequence[SeedGroup],
    notes: Sequence[str],
    settings: ProbeSettings,
    seeds: SeedSettings,
) -> ProbeMetrics:
    """Compute the numbers and write them."""
    result = ProbeMetrics(
        settings=settings.model_dump(mode="json") | seeds.model_dump(mode="json"),
        arms=tuple(score_seeds(group, seeds) for group in groups),
        differences=tuple(compare_all(groups, seeds)),
        notes=tuple(notes),
    )
    parts = ["probe-metrics", *([settings.name] if settings.name else []), *settings.how]
    path = workspace.runs / ("-".join(parts) + ".json")
    write_json(path, result.model_dump(mode="json"))
    with replacing(path.with_suffix(".csv")) as temporary:
        seeds_table(result.arms).to_csv(temporary, index=False)
    return result


def _carry_out(
    one: LinedUp, workspace: Workspace, settings: ProbeSettings
) -> Iterator[tuple[str, float, pd.DataFrame]]:
    """Yield name, share and tested predictions of every run of a candidate, in turn."""
    answering = one.candidate.begin()
    for fold in one.folds:
        for percent in settings.fractions:
            run = _answer(one, answering, workspace, settings.of_run(fold, percent))
            table = run.read_predictions()
            yield run.name, percent, table[table["split"] == "test"]


def _answer(
    one: LinedUp, answering: Answering, workspace: Workspace, asked: ProbeSettings
) -> RunFolder:
    identity, patches = one.candidate.identity, one.patches
    dealt = patches.deal(asked.fold, asked.percent, asked.seed)
    share = [] if asked.percent == 100 else [f"{asked.percent:g}pct"]
    stem = "-".join(["probe", identity.stem, *identity.how, *share])
    made = Provenance(
        name=run_name(stem, fold=asked.fold),
        method="probe",
        magnification=patches.magnification,
        fold=asked.fold,
        seed=identity.seed,
        classes=patches.classes,
        inputs={**patches.inputs, "splits": _digest(dealt), **identity.inputs},
        device=str(choose_device(asked.device)),
    )
    run = RunFolder(workspace.runs / made.name)
    with first_alone():
        run.start(one.candidate.settings_of(asked), made)
    if not run.is_complete():
        with held_by_first(run):
            _predict(answering, patches, dealt, run, asked)
            wait()  # all read what the first wrote
    return run


def _predict(
    answering: Answering,
    patches: LabelledPatches,
    dealt: pd.DataFrame,
    run: RunFolder,
    asked: ProbeSettings,
) -> None:
    started = time.monotonic()
    answer = answering(dealt, run, asked)
    if answer is None:
        return
    probabilities, gmacs = answer
    table = dealt.assign(width=patches.size.width, height=patches.size.height, gmacs=gmacs)
    table = table[list(PREDICTION_COLUMNS)]
    table[probability_columns(patches.classes)] = probabilities
    run.write_predictions(table[table["split"].isin(["val", "test"])])
    seconds = time.monotonic() - started
    run.finish(seconds=seconds)
    Display(run.name).say(f"done in {seconds:.1f} s")


def _digest(dealt: pd.DataFrame) -> str:
    return text_digest(dealt.drop(columns="train").to_csv())
