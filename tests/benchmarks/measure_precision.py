"""Hold trainings whose maps are bfloat16 against those in float32, over paired seeds.

python -m tests.benchmarks.measure_precision precision-seeds --seeds 0 1 2 3 4

Slides are drawn, prepared and split as the demo's recipe says. Then a network at a low
magnification is taught twice with each seed, in both precisions; nothing else differs. What is
compared is the loss over the test regions, in the epoch of the best validation loss and in the
last: the mean difference, beside the standard deviation between seeds. On a GPU (--device cuda)
the fused kernels are used. A call that was stopped goes on where it was.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tests.benchmarks.measure_demo import ONCE, RECIPE, carry_out, steps_for
from wsikd.cohort.manifest import read_manifest
from wsikd.methods.teach import TeachSettings, teach
from wsikd.runs import RunFolder
from wsikd.store import RegionStore
from wsikd.workspace import Workspace


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    asked.add_argument("--mag", type=float, default=2.5)
    asked.add_argument("--epochs", type=int, default=20)
    asked.add_argument("--device", default="cpu")
    told = asked.parse_args()
    workspace = Workspace(told.folder.absolute())
    recipe = yaml.safe_load(RECIPE.read_text())
    carry_out(recipe, steps_for(recipe, ONCE), workspace.root)
    how = next(step["teach"] for step in steps_for(recipe, {"teach"}))
    how = {**how, "mag": told.mag, "epochs": told.epochs, "device": told.device}
    store, manifest = RegionStore(workspace.store), read_manifest(workspace.manifest)
    kernels = "fused" if told.device.startswith("cuda") else "eager"
    rows = []
    for seed in told.seeds:
        for precision in ("fp32", "bf16"):
            more = {"precision": precision, "kernels": kernels, "seed": seed}
            settings = TeachSettings(**{**how, **more, "name": f"{precision}-seed{seed}"})
            (run,) = teach(store, manifest, workspace.runs, settings)
            for checkpoint in ("best", "last"):
                row = {"seed": seed, "precision": precision, "checkpoint": checkpoint}
                rows.append(row | {"test_loss": loss_of(run, checkpoint)})
    table = pd.DataFrame(rows)
    table.to_csv(told.folder / "precision.csv", index=False)
    for checkpoint, rows in table.groupby("checkpoint"):
        print(f"epoch: {checkpoint}\n{summarise(rows)}")


def loss_of(run: RunFolder, checkpoint: str) -> float:
    """Return the mean cross-entropy over the test regions."""
    table, classes = run.read_predictions(checkpoint), run.read_provenance().classes
    tested = table[table["split"] == "test"]
    columns = [f"p_{classes.index(label)}" for label in tested["label"]]
    chosen = [row[column] for (_, row), column in zip(tested.iterrows(), columns, strict=True)]
    return float(-np.log(np.clip(chosen, 1e-12, 1)).mean())


def summarise(table: pd.DataFrame) -> str:
    scores = table.pivot(index="seed", columns="precision", values="test_loss")
    difference = scores["bf16"] - scores["fp32"]
    spread = ", ".join(f"{name} {scores[name].std():.3g}" for name in ("fp32", "bf16"))
    return (
        f"{scores.to_string()}\nbf16 less fp32: {difference.mean():+.3g} of test loss; "
        f"seeds differ by a standard deviation of {spread}"
    )


if __name__ == "__main__":
    main()
