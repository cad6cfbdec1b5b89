from pathlib import Path

import pytest

from wsikd.cli.recipe_files import find_recipe
from wsikd.errors import ConfigError


@pytest.mark.parametrize("name", ["demo", "demo.yaml"])
def test_a_bare_name_is_a_recipe_that_comes_with_wsikd(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert find_recipe(Path(name)).name == "demo.yaml"


def test_a_file_goes_before_the_recipe_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("name: mine")
    assert find_recipe(Path("demo")) == Path("demo")


@pytest.mark.parametrize("path", ["nowhere/demo.yaml", "/nowhere/demo", "demmo"])
def test_a_mistyped_path_is_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^{path}: no such recipe; with wsikd come atlas_organ"):
        find_recipe(Path(path))
