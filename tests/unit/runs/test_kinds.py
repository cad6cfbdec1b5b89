import ast
from pathlib import Path

import pytest

import wsikd
from wsikd.report.figures import COLOURS, MARKERS
from wsikd.runs import KINDS, METHODS

_PACKAGE = Path(wsikd.__file__).parent


def test_every_method_of_a_run_has_its_kind():
    assert tuple(KINDS) == METHODS


def test_what_a_kind_learns_from_is_read_before_it():
    for name, kind in KINDS.items():
        if kind.learns_from is not None:
            assert METHODS.index(kind.learns_from) < METHODS.index(name)
            assert KINDS[kind.learns_from].is_evaluated


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.is_evaluated])
def test_what_is_evaluated_can_be_drawn(name):
    assert name in COLOURS
    assert name in MARKERS or KINDS[name].is_control


def _names(node):
    """The methods that a constant or a tuple of constants names."""
    constants = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return {one.value for one in constants if isinstance(one, ast.Constant)} & set(METHODS)


def _is_a_method(node):
    """Tell `run.method`, `run["method"]` and `method` from other values."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "method"
    return getattr(node, "attr", getattr(node, "id", None)) == "method"


def test_no_module_compares_the_methods_of_runs():
    compared = [
        f"{path.relative_to(_PACKAGE)}:{node.lineno}"
        for path in sorted(_PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and _is_a_method(node.left)
        and any(_names(side) for side in node.comparators)
    ]
    assert compared == []
