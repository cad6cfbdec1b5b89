import pytest

from wsikd.report.figures import COLOURS, MARKERS
from wsikd.runs import KINDS, METHODS


def test_every_method_of_a_run_has_its_kind():
    assert tuple(KINDS) == METHODS


def test_a_kind_is_compared_to_kinds_that_are_read_before_it():
    for name, kind in KINDS.items():
        for reference in kind.compared_to:
            assert METHODS.index(reference) < METHODS.index(name)
            assert KINDS[reference].is_evaluated


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.is_evaluated])
def test_what_is_evaluated_can_be_drawn(name):
    assert name in COLOURS
    assert name in MARKERS or KINDS[name].is_control
