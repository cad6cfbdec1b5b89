import json
from typing import Literal

import pytest
import yaml
from pydantic import Field, ValidationError, model_validator

from wsikd.config import OneOf, Settings, explain, load, load_document, load_yaml, save
from wsikd.errors import CheckpointError, ConfigError, StoreError

KERNELS = {"box": 0.5, "lanczos": 3.0}


class Inner(Settings):
    min_side: float = Field(8.0, gt=0, le=100)


class Outer(Settings):
    epochs: int = Field(3, ge=1)
    kind: OneOf[str, KERNELS] = "lanczos"
    inner: Inner = Inner()
    name: str = Field("outer", pattern=r"^\w+$")
    folds: tuple[int, ...] = Field((0,), min_length=1)


class Range(Settings):
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ascends(self):
        if self.low > self.high:
            raise ValueError(f"--low must be at most --high {self.high}, got {self.low}")
        return self


class Document(Settings):
    format: Literal["wsikd-note"] = "wsikd-note"
    version: Literal[2] = 2
    text: str


def refusal(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    return str(caught.value)


def test_settings_do_not_change_once_made():
    with pytest.raises(ValidationError, match="frozen"):
        Outer().epochs = 5


def test_saved_settings_hold_the_defaults_and_are_read_back_equal(tmp_path):
    settings = Outer(epochs=7, inner=Inner(min_side=0.5))
    save(settings, tmp_path / "settings.yaml")
    written = yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert written == {
        "epochs": 7,
        "kind": "lanczos",
        "inner": {"min_side": 0.5},
        "name": "outer",
        "folds": [0],
    }
    assert load(tmp_path / "settings.yaml", Outer) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 0", "epochs must be at least 1, got 0"),
        ("epoch: 1", "epoch is unknown; leave it out or correct its name"),
        ("inner: {min_side: 0}", "inner.min_side must be above 0, got 0"),
        ("inner: {min_side: 101}", "inner.min_side must be at most 100, got 101"),
        ("inner: {min_side: .nan}", "inner.min_side must be a finite number, got nan"),
        ("kind: sinc", "kind must be 'box' or 'lanczos', got 'sinc'"),
        ("epochs: many", "epochs must be a valid integer, got 'many'"),
        ("name: a/b", "name must match pattern '^\\w+$', got 'a/b'"),
        ("name: 3", "name must be a valid string, got 3"),
        ("inner: 3", "inner must be a mapping of names to values, got 3"),
        ("folds: []", "folds must have at least 1 item, got []"),
        ("folds: 3", "folds must be a list, got 3"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assert refusal(ConfigError, load, path, Outer) == f"{path}: {message}"


def test_an_option_is_named_as_it_is_typed():
    with pytest.raises(ValidationError) as caught:
        Outer(inner={"min_side": -1})
    assert explain(caught.value, as_option=True) == "--inner.min-side must be above 0, got -1"


@pytest.mark.parametrize("as_option", [False, True])
def test_a_rule_for_several_settings_is_told_in_its_own_words(as_option):
    with pytest.raises(ValidationError) as caught:
        Range(low=3)
    told = explain(caught.value, as_option=as_option)
    assert told == "--low must be at most --high 1, got 3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "must hold a mapping of settings, got list"),
        ("a: [1", "must be YAML; "),
        ("a: \x00", "must be YAML; "),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "wsikd.yaml"
    path.write_text(text)
    told = refusal(ConfigError, load_yaml, path)
    assert told.startswith(f"{path}: {message}")
    assert "\n" not in told


def test_a_merge_may_replace_a_key_and_an_alias_repeat_a_mapping(tmp_path):
    path = tmp_path / "wsikd.yaml"
    path.write_text("a: &a {epochs: 3, seed: 1}\nb: {<<: *a, epochs: 4}\nc: *a\n'1': {}\n")
    a = {"epochs": 3, "seed": 1}
    assert load_yaml(path) == {"a": a, "b": {"epochs": 4, "seed": 1}, "c": a, "1": {}}


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    assert refusal(ConfigError, load_yaml, tmp_path) == f"{tmp_path}: must be a file, is a folder"


def test_yaml_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "wsikd.yaml").write_bytes("µ: 1".encode("latin-1"))
    assert "must be YAML" in refusal(ConfigError, load_yaml, tmp_path / "wsikd.yaml")


def test_yaml_makes_no_python_objects(tmp_path):
    (tmp_path / "wsikd.yaml").write_text("a: !!python/object/apply:os.getcwd []")
    assert "must be YAML" in refusal(ConfigError, load_yaml, tmp_path / "wsikd.yaml")


def test_an_empty_file_is_no_setting(tmp_path):
    (tmp_path / "wsikd.yaml").write_text("# nothing yet\n")
    assert load_yaml(tmp_path / "wsikd.yaml") == {}


def test_a_document_is_read_if_format_and_version_are_known(tmp_path):
    path = tmp_path / "note.json"
    path.write_text(Document(text="µ").model_dump_json())
    assert load_document(path, Document, StoreError).text == "µ"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "wsikd-note", "version": 3, "text": ""},
         "expected wsikd-note version 2, found wsikd-note version 3; update wsikd"),
        ({"format": "wsikd-note", "version": 1, "text": ""},
         "expected wsikd-note version 2, found wsikd-note version 1"),
        ({"text": ""}, "expected wsikd-note version 2, found None version None"),
        ([1], "must hold a mapping, got list"),
        ({"format": "wsikd-note", "version": 2}, "text is required"),
        ({"format": "wsikd-note", "version": 2, "text": "", "more": 1},
         "more is unknown; leave it out or correct its name"),
    ],
)  # fmt: skip
def test_a_document_of_another_kind_is_refused_with_the_error_asked_for(tmp_path, values, message):
    path = tmp_path / "note.json"
    path.write_text(json.dumps(values))
    assert refusal(StoreError, load_document, path, Document, StoreError) == f"{path}: {message}"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"format": "wsikd-note", "version": 1}',
        '{"format": "wsikd-note", "version": 2}',
    ],
)
def test_a_damaged_document_names_the_remedy_last(tmp_path, text):
    path = tmp_path / "note.json"
    path.write_text(text)
    told = refusal(CheckpointError, load_document, path, Document, CheckpointError, "run it again")
    assert told.endswith("; run it again")


def test_a_document_that_is_not_there_names_the_remedy(tmp_path):
    path = tmp_path / "note.json"
    told = refusal(CheckpointError, load_document, path, Document, CheckpointError, "run it first")
    assert told == f"{path}: no such file; run it first"
    assert refusal(CheckpointError, load_document, path, Document, CheckpointError) == (
        f"{path}: no such file"
    )
