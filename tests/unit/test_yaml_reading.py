"""A settings file is read as it is written, or refused by its line."""

import pytest

from wsikd.config import load_yaml, stated_options
from wsikd.errors import ConfigError
from wsikd.yaml_reading import read_yaml


def refusal(tmp_path, text: str) -> str:
    path = tmp_path / "wsikd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("teach: {epochs: 3}\nsplit: {}\nteach: {epochs: 4}\n", 3, "teach"),
        ("teach:\n  epochs: 3\n  epochs: 3\n", 3, "epochs"),
        ("steps:\n- teach: {seed: 1}\n- teach: {seed: 2, 'seed': 3}\n", 3, "seed"),
        ("distil:\n  student-mag: 5\n  student_mag: 1.25\n", 3, "student_mag"),
        ("prepare:\n  tissue.mpp: 4\n  tissue: {mpp: 8}\n", 3, "mpp"),
        ("prepare:\n  tissue: {mpp: 8}\n  tissue.mpp: 4\n", 3, "tissue.mpp"),
        ("segment train: {seed: 1}\nsegment:\n  train: {seed: 2}\n", 3, "train"),
    ],
)
def test_a_setting_that_is_there_twice_is_refused_however_it_is_spelt(tmp_path, text, line, key):
    assert refusal(tmp_path, text) == f"line {line}: {key!r} is there twice; leave one out"


@pytest.mark.parametrize(
    ("value", "meanings", "remedy"),
    [
        ("010", "8 to some programs and 10", "10"),
        ("-010", "-8 to some programs and -10", "-10"),
        ("0_17", "15 to some programs and 17", "17"),
        ("1_000", "1000 to some programs and a text", "1000"),
        ("1_0.5", "10.5 to some programs and a text", "10.5"),
        ("1:30", "90 to some programs and a text", "90"),
        ("1:30.5", "90.5 to some programs and a text", "90.5"),
        ("0b11", "3 to some programs and a text", "3"),
        ("yes", "true to some programs and a text", "true"),
        ("On", "true to some programs and a text", "true"),
        ("NO", "false to some programs and a text", "false"),
        ("off", "false to some programs and a text", "false"),
    ],
)
def test_a_value_of_two_meanings_is_refused_by_its_line(tmp_path, value, meanings, remedy):
    told = f"line 2: {value!r} is {meanings} to others; write {remedy}, or put it in quotes"
    assert refusal(tmp_path, f"teach:\n  seed: {value}\n") == told
    assert refusal(tmp_path, f"steps:\n- seed: [3, {value}]\n") == told
    assert read_yaml(f"seed: '{value}'") == {"seed": value}
    assert read_yaml(f"seed: {remedy}") == {"seed": {"true": True, "false": False}.get(remedy)
                                            if remedy.isalpha() else float(remedy)}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("0", 0),
        ("10", 10),
        ("+7", 7),
        ("0.5", 0.5),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("~", None),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31 10:00:00", "2026-01-31 10:00:00"),
        ("v1_000", "v1_000"),
        ("nobody", "nobody"),
    ],
)
def test_a_value_of_one_meaning_is_read_as_it_is_written(value, read):
    found = read_yaml(f"a: {value}")
    assert found == {"a": read}
    assert type(found["a"]) is type(read)


@pytest.mark.parametrize("text", ["prepare: {mpp: 0,5}", "5: {}", "prepare: {tissue: {true: 3}}"])
def test_a_name_that_is_no_text_is_refused(tmp_path, text):
    told = refusal(tmp_path, text)
    assert told.startswith("line 1: a name must be text, got ")
    assert told.endswith("; put it in quotes, and write decimals with a point")


def test_dotted_and_nested_settings_of_one_family_are_joined(tmp_path):
    path = tmp_path / "wsikd.yaml"
    joined = {"tissue": {"mpp": 4, "smoothing_um": 50}}
    for text in (
        "tissue.mpp: 4, tissue: {smoothing_um: 50}",
        "tissue: {smoothing_um: 50}, tissue.mpp: 4",
    ):
        path.write_text(f"prepare: {{{text}}}")
        assert stated_options(path, "prepare") == joined


def test_a_mapping_that_holds_itself_ends():
    found = read_yaml("a: &a {b: *a}")
    assert found["a"]["b"] is found["a"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / "wsikd.yaml"
    path.write_text("teach: {seed: 3}", encoding="utf-8-sig")
    assert load_yaml(path) == {"teach": {"seed": 3}}
