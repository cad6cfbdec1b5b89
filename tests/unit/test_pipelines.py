import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsikd.cli import check_arguments
from wsikd.cli.commands import COMMANDS
from wsikd.recipes import Step, read_recipe

PIPELINES = Path(__file__).parents[2] / "pipelines"
RECIPES = sorted(PIPELINES.glob("*.yaml"))
PAPERS = [PIPELINES / "celiac.yaml", PIPELINES / "luad.yaml"]
LOWER = [5, 2.5, 1.25, 0.625]


def every_step() -> Iterator[Any]:
    for recipe in RECIPES:
        for step in read_recipe(recipe, COMMANDS)[1]:
            yield pytest.param(step, id=f"{recipe.stem}-{step.number}-{step.command}")


def steps_of(recipe: Path, command: str) -> list[dict[str, Any]]:
    steps = yaml.safe_load(recipe.read_text(encoding="utf-8"))["steps"]
    return [step[command] for step in steps if command in step]


def test_there_are_recipes():
    assert set(PAPERS) <= set(RECIPES)


@pytest.mark.parametrize("step", list(every_step()))
def test_the_command_line_understands_every_step(step: Step):
    check_arguments(step.arguments)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_is_named_after_its_file(recipe):
    assert read_recipe(recipe, COMMANDS)[0] == recipe.stem


@pytest.mark.parametrize("recipe", PAPERS, ids=lambda recipe: recipe.stem)
class TestEveryPaperRecipe:
    def test_prepares_the_magnifications_of_the_paper(self, recipe):
        (options,) = steps_of(recipe, "prepare")
        assert options["pyramid.magnifications"] == [10, *LOWER]

    def test_trains_the_teacher_and_a_baseline_at_each_lower_magnification(self, recipe):
        assert [options["mag"] for options in steps_of(recipe, "teach")] == [10, *LOWER]

    def test_distils_a_student_at_each_lower_magnification(self, recipe):
        assert [options["student_mag"] for options in steps_of(recipe, "distil")] == LOWER

    @pytest.mark.parametrize("command", ["teach", "distil"])
    def test_trains_every_network_as_long_and_as_fast_as_the_paper(self, recipe, command):
        for options in steps_of(recipe, command):
            assert (options["epochs"], options["accumulate"]) == (100, 32)
            assert (options["learning_rate"], options["weight_decay"]) == (1e-3, 1e-4)


def test_celiac_is_split_by_the_recipe_and_luad_by_its_table():
    assert [len(steps_of(recipe, "split")) for recipe in PAPERS] == [1, 0]


def test_every_function_that_the_guide_names_exists():
    guide = (PIPELINES / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"`(wsikd(?:\.\w+){2,})`", guide)
    assert len(names) > 10
    for name in names:
        pkgutil.resolve_name(name)
