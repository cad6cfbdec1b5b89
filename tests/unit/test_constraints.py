"""What is not a module of wsikd: the files that say which versions belong together."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_WORK = (*EXTRAS["test"], *EXTRAS["lint"], *EXTRAS["docs"])
ASKED = [Requirement(text) for text in (*PROJECT["dependencies"], *FOR_WORK)]


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(each.name): str(each.specifier) for each in found}


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_every_dependency_is_pinned_to_a_version_that_will_do(asked, pins):
    pin = pins[canonicalize_name(asked.name)]
    assert pin.startswith("==")
    assert asked.specifier.contains(pin.removeprefix("=="))


def test_pins_name_no_build_of_one_platform(pins):
    assert [pin for pin in pins.values() if "+" in pin] == []
