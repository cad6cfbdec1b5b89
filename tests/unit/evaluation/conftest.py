import json

import numpy as np
import pytest

from tests.builders import coloured_manifest, write_coloured_store
from wsikd.cohort.splits import splits_of_fold
from wsikd.config import Settings
from wsikd.hashing import file_digest
from wsikd.runs import KINDS, Provenance, RunFolder, run_name

CLASSES = ("blue", "red")


@pytest.fixture
def manifest():
    """Twelve patients of one slide each, classes in turn, in three folds or all to be tested."""
    return coloured_manifest()


@pytest.fixture
def write_run(tmp_path, manifest):
    """Write a run into `runs/` whose predictions are right except for the slides `wrong`.

    It has learnt `of` a run, a student of its teacher and a fine-tuned one of its student.
    """

    def write(
        method,
        magnification,
        fold=None,
        *,
        wrong=(),
        without=(),
        gmacs=1.0,
        seed=0,
        complete=True,
        of=None,
        architecture="resnet10w32",
        splits="as today",
        name=None,
    ):
        name = run_name(name or method, None if name else magnification, fold=fold, seed=seed)
        run = RunFolder(tmp_path / "runs" / name)
        role = KINDS[method].learns_from
        made = Provenance(
            name=name,
            method=method,
            magnification=magnification,
            fold=fold,
            seed=seed,
            classes=CLASSES,
            inputs={"splits": splits} | ({role: file_digest(of.model_path())} if of else {}),
            sources={role: of.name} if of else {},
        )
        run.start(Settings(), made)
        run.model_path().write_text(f"weights of {name}")
        about = json.dumps({"architecture": architecture})
        run.model_path().with_suffix(".json").write_text(about)
        tested = manifest if fold is None else manifest[manifest["fold"] == str(fold)]
        tested = tested[~tested["slide_id"].isin(without)]
        table = tested[["slide_id", "patient_id", "label"]].assign(
            region_id="region-000", split="test", width=10, height=10, gmacs=gmacs
        )
        right = np.where(table["slide_id"].isin(wrong), 0.1, 0.9)
        blue = table["label"] == "blue"
        table["p_0"] = np.where(blue, right, 1 - right)
        table["p_1"] = 1 - table["p_0"]
        run.write_predictions(table)
        places = manifest if fold is None else splits_of_fold(manifest, fold)
        run.write_learnt(places[~places["slide_id"].isin(without)])
        if complete:
            run.finish(seconds=1.0)
        return run

    return write


@pytest.fixture
def store(tmp_path, manifest):
    """A store whose regions are plain blue or plain red, as their label says."""
    return write_coloured_store(tmp_path / "regions", manifest)
