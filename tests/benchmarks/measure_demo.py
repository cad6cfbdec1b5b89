"""Repeat the demo over seeds and thread counts, and compare its student with its baseline.

python tests/benchmarks/measure_demo.py demo-seeds --seeds 0 1 2 3 4 5 6 7 8 9 --threads 1 2

The slides are drawn, prepared and split once, as the recipe says; what follows is repeated with
every seed, each time from new networks. Both networks are scored twice: at the epoch of the best
validation loss, as `wsikd evaluate` does, and at the last one, as a loss that rises while more
slides come out right would choose against the baseline. A call that was stopped goes on where it
was.
"""

import argparse
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from wsikd.evaluation import Metrics, read_metrics
from wsikd.runs import RunFolder
from wsikd.workspace import Workspace

RECIPE = Path(__file__).parents[2] / "pipelines" / "demo.yaml"
ONCE = {"draw", "prepare", "split"}  # the steps that no seed changes
SEEDED = {"teach", "distil"}
MODELS = ("teacher", "baseline", "student")
CHECKPOINTS = ("best", "last")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--recipe", type=Path, default=RECIPE)
    asked.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    asked.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--jobs", type=int, default=1, help="runs at a time")
    asked.add_argument("--device", default="cpu")
    told = asked.parse_args()
    recipe = yaml.safe_load(told.recipe.read_text())
    cohort = told.folder.absolute() / "cohort"
    carry_out(recipe, steps_for(recipe, ONCE), cohort)
    jobs = list(itertools.product(told.threads, told.seeds))
    with ThreadPoolExecutor(told.jobs) as pool:
        made = pool.map(lambda job: repeat(recipe, cohort, *job, told.device), jobs)
        rows = [row for rows in made for row in rows]
    table = pd.DataFrame(rows)
    table.to_csv(told.folder / "seeds.csv", index=False)
    print(summarise(table))


def steps_for(recipe: dict, commands: set[str]) -> list[dict]:
    """Return the recipe's steps with these commands."""
    return [step for step in recipe["steps"] if commands & step.keys()]


def carry_out(recipe: dict, steps: list[dict], workspace: Path, threads: int | None = None) -> None:
    """Carry out some steps in a workspace, as `wsikd run` does."""
    workspace.mkdir(parents=True, exist_ok=True)
    path = workspace / f"{recipe['name']}.yaml"
    path.write_text(yaml.safe_dump({"name": recipe["name"], "steps": steps}))
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "wsikd", "run", str(path), "--workspace", str(workspace)]
    with (workspace / "log.txt").open("a") as log:
        subprocess.run(
            command, env=os.environ | limits, stdout=log, stderr=subprocess.STDOUT, check=True
        )


def repeat(recipe: dict, cohort: Path, threads: int, seed: int, device: str) -> list[dict]:
    """Train and score all networks with one seed and so many threads; return a row for each."""
    workspace = Workspace(cohort.parent / f"threads{threads}-seed{seed}")
    workspace.root.mkdir(exist_ok=True)
    for name in ("regions", "slides", "slides.csv"):
        link = workspace.root / name
        if not link.exists():
            link.symlink_to(cohort / name)
    steps = [
        {name: {**(how or {}), "seed": seed, "device": device} for name, how in step.items()}
        for step in steps_for(recipe, SEEDED)
    ]
    rows = []
    for checkpoint in CHECKPOINTS:
        scored = {"evaluate": {"draws": 100, "checkpoint": checkpoint}}
        carry_out(recipe, [*steps, scored], workspace.root, threads)
        metrics = read_metrics(workspace.runs)
        about = {"threads": threads, "seed": seed, "checkpoint": checkpoint}
        rows += [{**about, **describe(metrics, workspace, model)} for model in MODELS]
    return rows


def describe(metrics: Metrics, workspace: Workspace, model: str) -> dict:
    """Tell what a network scored on the test slides, and how its training ended."""
    (run,) = (run for run in metrics.runs if run.method == model)
    folder = RunFolder(workspace.runs / run.name)
    log = folder.read_log()
    losses = [entry["val"]["loss"] for entry in log]
    return {
        "model": model,
        "slides": run.units["slide"].count,
        "right": run.units["slide"].metrics["plain_accuracy"].value,
        "steps": log[-1]["steps"],
        "epochs": len(log),
        "best_epoch": 1 + int(np.argmin(losses)),
        "seconds": folder.read_provenance().seconds,
    }


def summarise(table: pd.DataFrame) -> str:
    """Write the share of slides right by seed, and the mean differences with their intervals."""
    right = table.pivot_table(
        index=["threads", "seed"], columns=["checkpoint", "model"], values="right"
    )
    right = 100 * right[list(itertools.product(CHECKPOINTS, MODELS))]
    lines = [right.round(1).to_string(), ""]
    for (threads, shares), checkpoint in itertools.product(right.groupby("threads"), CHECKPOINTS):
        compared = compare(shares[checkpoint]["student"] - shares[checkpoint]["baseline"])
        lines.append(f"{threads} threads, {checkpoint} epoch: {compared}")
    trained = table.groupby("model")[["steps", "epochs"]].max()
    best = table.groupby("model")["best_epoch"].agg(["min", "median", "max"])
    seconds = table.groupby(["threads", "model"])["seconds"].median().unstack()
    shown = (trained.join(best).loc[list(MODELS)], seconds[list(MODELS)].round(0))
    return "\n".join([*lines, *("\n" + part.to_string() for part in shown)])


def compare(difference: pd.Series) -> str:
    """Say how often and by how much the student was above the baseline, in percentage points."""
    low, high = stats.t.interval(
        0.95, len(difference) - 1, difference.mean(), stats.sem(difference)
    )
    wins, ties = int((difference > 0).sum()), int((difference == 0).sum())
    return (
        f"student above baseline in {wins} of {len(difference)} seeds, level in {ties}, by "
        f"{difference.mean():.1f} points on average (95 % interval {low:.1f} to {high:.1f})"
    )


if __name__ == "__main__":
    main()
