import pytest

from wsikd.errors import ConfigError
from wsikd.runs import pooled_name, run_name
from wsikd.runs.names import refuse_taken


@pytest.mark.parametrize(
    ("arguments", "name", "pooled"),
    [
        (("teacher", 10.0), "teacher-10x", "teacher-10x"),
        (("student", 0.625, 12, 3), "student-0.625x-fold12-seed3", "student-0.625x-seed3"),
        (("control", None, 1), "control-fold1", "control"),
    ],
)
def test_runs_are_named_by_method_magnification_fold_and_seed(arguments, name, pooled):
    assert run_name(*arguments) == name
    assert pooled_name(name) == pooled


@pytest.mark.parametrize("name", ["pictures", "cka-a-b", "metrics.json", "metrics.csv"])
def test_a_run_is_not_called_as_something_else_below_runs(name):
    with pytest.raises(ConfigError) as refusal:
        refuse_taken(name)
    assert str(refusal.value) == (
        f"--name must not be that of something else in runs/, got {name!r}; choose another"
    )
