from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from wsikd.config import Settings
from wsikd.models import build_model
from wsikd.models.weights import ModelDescription, save_model
from wsikd.runs import Provenance, RunFolder
from wsikd.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def make_images():
    """Write a folder of noisy images, so many of each class."""

    def write(folder, **classes):
        random = np.random.default_rng(len(folder.name))
        for label, count in classes.items():
            (folder / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / label / f"{label}{number}.png")
        return folder

    return write


@pytest.fixture
def write_images(make_images, tmp_path):
    """Write a folder of images beside the workspace's runs."""
    return lambda name, **classes: make_images(tmp_path / name, **classes)


@pytest.fixture(scope="session")
def make_run():
    """Write a finished run of an untrained network into a workspace."""

    def write(
        workspace,
        name,
        *,
        method="pair",
        classes=(),
        settings=None,
        seed=0,
        fold=None,
        privileged=None,
        architecture="resnet10w32",
        **about,
    ):
        run = RunFolder(workspace.runs / name)
        described = ModelDescription(
            architecture=architecture,
            classes=classes,
            **{"magnification": 10.0, "mpp": 1.0, "mean": (0.5,) * 3, "std": (0.25,) * 3} | about,
        )
        made = Provenance(
            name=name,
            method=method,
            classes=classes,
            magnification=described.magnification,
            seed=seed,
            fold=fold,
        )
        run.start(settings or Settings(), made)
        torch.manual_seed(seed)
        save_model(build_model(architecture, len(classes)), described, run.model_path())
        if privileged is not None:
            torch.manual_seed(privileged)
            path = run.model_path(branch="privileged")
            save_model(build_model("resnet10w32", 0), described, path)
        run.finish(seconds=0.0)
        return run

    return write


@pytest.fixture
def write_run(make_run, workspace):
    """Write a finished run of an untrained network."""
    return partial(make_run, workspace)
