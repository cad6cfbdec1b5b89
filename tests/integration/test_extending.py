"""Runs that are asked for more than they were, on a small real store."""

import pytest
import torch
from safetensors.torch import load_file

from tests.integration.test_training_methods import (  # noqa: F401  the fixtures among them
    QUICK,
    _one_thread,
    make_manifest,
    runs,
    store,
    student,
    taught,
)
from wsikd.errors import ResumeError
from wsikd.methods.distil import distil
from wsikd.methods.teach import TeachSettings, teach
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.probing.supervised import SuperviseSettings


def settings_of(method, **options):
    if method is teach:
        return TeachSettings(fold=0, **{**QUICK, "name": "mine", **options})
    return student(**{"name": "mine", **options})


@pytest.mark.parametrize("method", [teach, distil])
def test_a_finished_run_that_goes_on_ends_with_the_weights_of_one_that_was_long(
    method,
    store,  # noqa: F811
    runs,  # noqa: F811
):
    (at_once,) = method(store, make_manifest(), runs, settings_of(method, epochs=3, name="long"))
    method(store, make_manifest(), runs, settings_of(method, epochs=1))
    (extended,) = method(store, make_manifest(), runs, settings_of(method, epochs=3))
    assert extended.is_complete()
    assert [entry["epoch"] for entry in extended.read_log()] == [1, 2, 3]
    for checkpoint in ("best", "last"):
        found, expected = (load_file(run.model_path(checkpoint)) for run in (extended, at_once))
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        tables = [run.read_predictions(checkpoint) for run in (extended, at_once)]
        assert tables[0].equals(tables[1])


def test_a_teacher_of_students_stays_as_they_learnt_from_it(store, runs):  # noqa: F811
    (learnt,) = distil(store, make_manifest(), runs, student(epochs=1))
    settings = TeachSettings(fold=0, **{**QUICK, "epochs": 3})
    with pytest.raises(ResumeError, match=f"epochs must stay 2, as {learnt.name} was started from"):
        teach(store, make_manifest(), runs, settings)


def test_runs_whose_learning_rate_follows_the_number_of_epochs_do_not_grow():
    assert not SegmentSettings.may_grow
    assert not SuperviseSettings.may_grow
