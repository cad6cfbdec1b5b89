"""Trainings that take only operations with the same bits each time, wherever a gradient flows."""

import shutil
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file

from tests.integration.test_pair import images, train  # noqa: F401  a fixture among them
from tests.integration.test_segment import images as tissue  # noqa: F401
from tests.integration.test_segment import labelled  # noqa: F401
from tests.integration.test_segment import train as segment
from tests.integration.test_training_methods import (  # noqa: F401  fixtures among them
    QUICK,
    STUDENT_MAG,
    _one_thread,
    make_manifest,
    runs,
    store,
    student,
    taught,
)
from wsikd.errors import ResumeError
from wsikd.losses.distillation import FEATURE_MAP_LOSSES
from wsikd.losses.reconstruction import RECONSTRUCTION_LOSSES
from wsikd.losses.selfsupervised import OBJECTIVES
from wsikd.methods.distil import distil
from wsikd.methods.finetune import FinetuneSettings, finetune
from wsikd.methods.teach import TeachSettings, teach
from wsikd.training.determinism import deterministic

# Backward passes that torch refuses on CUDA, as the docstring of use_deterministic_algorithms lists
# them; not the bilinear one, in whose stead torch takes gathers.
WITHOUT_DETERMINISTIC_FORM = {
    "AdaptiveAvgPool2DBackward0",
    "AdaptiveMaxPool2DBackward0",
    "AvgPool3DBackward0",
    "CumsumBackward0",
    "FractionalMaxPool2DBackward0",
    "GridSampler2DBackward0",
    "MedianBackward1",
    "NllLoss2DBackward0",
    "PutBackward0",
    "ReflectionPad1DBackward0",
    "ReflectionPad2DBackward0",
    "UpsampleBicubic2DBackward0",
    "UpsampleLinear1DBackward0",
}
SEEN = {"deterministic": True}


@pytest.fixture
def passes(monkeypatch):
    """Note of each backward pass whether only such operations were allowed, and its operations."""
    noted, grad = [], torch.autograd.grad

    def note(loss, *args, **options):
        noted.append((torch.are_deterministic_algorithms_enabled(), operations(loss)))
        return grad(loss, *args, **options)

    monkeypatch.setattr(torch.autograd, "grad", note)
    return noted


def operations(loss):
    """Name what a loss was computed by, as far as a gradient flows."""
    waiting, names, known = [loss.grad_fn], set(), set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in known:
            known.add(node)
            names.add(node.name())
            waiting += [below for below, _ in node.next_functions]
    return names


def check(passes):
    assert passes
    assert all(allowed for allowed, _ in passes)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not set().union(*(names for _, names in passes)) & WITHOUT_DETERMINISTIC_FORM


def test_a_refused_operation_would_be_noticed():
    image = torch.rand(1, 1, 4, 4, requires_grad=True)
    pooled = torch.nn.functional.adaptive_max_pool2d(image, 2)
    resized = torch.nn.functional.interpolate(pooled, (1, 1), mode="bicubic")
    found = operations(resized.sum()) & WITHOUT_DETERMINISTIC_FORM
    assert found == {"AdaptiveMaxPool2DBackward0", "UpsampleBicubic2DBackward0"}


def test_it_ends_with_the_block_though_that_fails():
    with suppress(ZeroDivisionError), deterministic(asked=True):
        assert torch.backends.cudnn.deterministic
        1 / 0  # noqa: B018
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic


@pytest.mark.parametrize("mpix", [0, None], ids=["one at a time", "together"])
def test_a_teacher_is_taught_so(store, tmp_path, passes, mpix):  # noqa: F811
    settings = TeachSettings(fold=0, batch_mpix=mpix, **QUICK | SEEN)
    teach(store, make_manifest(), tmp_path / "runs", settings)
    check(passes)


@pytest.mark.parametrize("loss", ["soft", *FEATURE_MAP_LOSSES])
@pytest.mark.parametrize("teacher_pass", ["live", "cached"])
def test_a_student_is_distilled_so_by_every_loss(store, runs, passes, loss, teacher_pass):  # noqa: F811
    told = {"loss": "both", "compat": "release"} if loss == "both-release" else {"loss": loss}
    settings = student(epochs=1, teacher_pass=teacher_pass, **told, **SEEN)
    distil(store, make_manifest(), runs, settings)
    check(passes)


def test_a_last_layer_is_tuned_so(store, runs, passes):  # noqa: F811
    distil(store, make_manifest(), runs, student(epochs=1))
    passes.clear()
    settings = FinetuneSettings(student_mag=STUDENT_MAG, fold=0, **QUICK | SEEN)
    finetune(store, make_manifest(), runs, settings)
    check(passes)


@pytest.mark.parametrize("loss", [*OBJECTIVES, *RECONSTRUCTION_LOSSES])
def test_pairs_are_learnt_from_so_by_every_objective(images, tmp_path, passes, loss):  # noqa: F811
    name = f"predict-{loss}" if loss in RECONSTRUCTION_LOSSES else loss.removesuffix("-release")
    compat = "release" if loss.endswith("-release") else None
    train(tmp_path, images, pairing="downsample", objective=name, compat=compat, epochs=1, **SEEN)
    check(passes)


def test_nuclei_are_learnt_so(tissue, tmp_path, passes):  # noqa: F811
    segment(tmp_path, tissue, epochs=1, **SEEN)
    check(passes)


def test_on_a_cpu_it_changes_no_bit(store, runs, tmp_path):  # noqa: F811
    elsewhere = shutil.copytree(runs, tmp_path / "elsewhere")
    (one,) = distil(store, make_manifest(), runs, student())
    (other,) = distil(store, make_manifest(), elsewhere, student(**SEEN))
    found, expected = (load_file(run.model_path("last")) for run in (one, other))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert one.read_predictions().equals(other.read_predictions())


def test_a_run_that_began_without_it_does_not_go_on_with_it(store, runs):  # noqa: F811
    with pytest.raises(ResumeError, match="was started with deterministic False, now asked for T"):
        teach(store, make_manifest(), runs, TeachSettings(fold=0, **QUICK | SEEN))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_repeats_every_bit(store, tmp_path):  # noqa: F811
    made = []
    for name in ("one", "other"):
        place, told = tmp_path / name / "runs", QUICK | SEEN | {"device": "cuda"}
        teach(store, make_manifest(), place, TeachSettings(fold=0, **told))
        made += distil(store, make_manifest(), place, student(**SEEN, device="cuda"))
    found, expected = (load_file(run.model_path("last")) for run in made)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert made[0].read_predictions().equals(made[1].read_predictions())
