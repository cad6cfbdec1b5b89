"""Hold students of few remembered views against students of new ones, over paired seeds.

python -m tests.benchmarks.measure_views views-seeds --seeds 0 1 2 3 4

Slides are drawn, prepared and split, and one teacher is taught, as the demo's recipe says. Then
students of each seed are distilled three times: from a teacher that looks at new views in every
epoch, from one that is asked once about 8 views of each region, and about a single one. Nothing
else differs. What is compared is the share of test slides that come out right and the loss of
validation, both in the last epoch. With 5 seeds it is to take some 15 minutes on two cores: a live
epoch asks the teacher about 36 regions, 5 MPix in all, and views are asked about once for all
seeds. A call that was stopped goes on where it was.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml
from scipy import stats

from tests.benchmarks.measure_demo import ONCE, RECIPE, carry_out, steps_for
from wsikd.cohort.manifest import read_manifest
from wsikd.methods.distil import distil
from wsikd.methods.distil_settings import DistilSettings
from wsikd.runs import RunFolder
from wsikd.store import RegionStore
from wsikd.workspace import Workspace

LIVE = "live"
KINDS = {
    LIVE: {},
    "8 views": {"teacher_pass": "cached", "views": 8},
    "1 view": {"teacher_pass": "cached", "views": 1},
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--recipe", type=Path, default=RECIPE)
    asked.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    told = asked.parse_args()
    workspace = Workspace(told.folder.absolute())
    recipe = yaml.safe_load(told.recipe.read_text())
    steps = steps_for(recipe, ONCE | {"teach"})
    carry_out(recipe, _with_one_teacher(steps), workspace.root)
    (how,) = (step["distil"] for step in steps_for(recipe, {"distil"}))
    how = {key: value for key, value in how.items() if key not in {"teacher_pass", "views"}}
    store, manifest = RegionStore(workspace.store), read_manifest(workspace.manifest)
    rows = []
    for seed in told.seeds:
        for kind, more in KINDS.items():
            name = f"{kind.replace(' ', '-')}-seed{seed}"
            settings = DistilSettings(**{**how, **more, "seed": seed, "name": name})
            (run,) = distil(store, manifest, workspace.runs, settings)
            rows.append({"seed": seed, "kind": kind, **score(run)})
    table = pd.DataFrame(rows)
    table.to_csv(told.folder / "views.csv", index=False)
    print(summarise(table))


def _with_one_teacher(steps: list[dict]) -> list[dict]:
    """Leave out baselines: teaching steps below the first one's magnification."""
    taught = [step for step in steps if "teach" in step]
    return [step for step in steps if step not in taught[1:]]


def score(run: RunFolder) -> dict:
    """Return the share of test slides right, in percent, and the loss of validation."""
    table, classes = run.read_predictions("last"), run.read_provenance().classes
    tested = table[table["split"] == "test"]
    columns = [f"p_{index}" for index in range(len(classes))]
    slides = tested.groupby(["slide_id", "label"], as_index=False)[columns].mean()
    said = slides[columns].to_numpy().argmax(axis=1)
    right = [classes[index] == label for index, label in zip(said, slides["label"], strict=True)]
    return {"right": 100 * sum(right) / len(right), "loss": run.read_log()[-1]["val"]["loss"]}


def summarise(table: pd.DataFrame) -> str:
    """Write all scores, and the mean differences from live ones with 95 % intervals."""
    lines = [table.pivot_table(index="seed", columns="kind", values=["right", "loss"]).to_string()]
    for value, unit in (("right", "points of slides right"), ("loss", "of validation loss")):
        scores = table.pivot_table(index="seed", columns="kind", values=value)
        for kind in [kind for kind in KINDS if kind != LIVE]:
            difference = scores[kind] - scores[LIVE]
            lines.append(
                f"{kind} less live: {difference.mean():+.3g} {unit}{_interval(difference)}"
            )
    return "\n".join(lines)


def _interval(differences: pd.Series) -> str:
    """Say the 95 % interval of a mean; of a single seed there is none."""
    if len(differences) == 1:
        return ""
    spread = stats.sem(differences) or 1e-12  # all alike: no interval without it
    low, high = stats.t.interval(0.95, len(differences) - 1, differences.mean(), spread)
    return f" (95 % interval {low:+.3g} to {high:+.3g})"


if __name__ == "__main__":
    main()
