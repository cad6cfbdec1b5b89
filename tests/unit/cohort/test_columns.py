import pytest

from wsikd.cohort.columns import ALIASES, COLUMNS, SPLITS, canonical_names, rule_broken


@pytest.mark.parametrize(
    ("alias", "column"), [(alias, ours) for ours, names in ALIASES.items() for alias in names]
)
def test_accepts_a_neighbours_name_in_any_case(alias, column):
    assert canonical_names(["note", alias.upper()]) == {alias.upper(): column}


def test_gives_an_alias_to_one_column_only():
    names = [*COLUMNS, *(alias for found in ALIASES.values() for alias in found)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["Slide ID", "slide\u00a0id", "Slide-Id", "slide  id"])
def test_accepts_a_name_with_blanks_or_hyphens(name):
    assert canonical_names([name]) == {name: "slide_id"}


def test_leaves_an_alias_alone_where_our_own_column_is_there():
    assert canonical_names(["path", "image", "label"]) == {}


def test_takes_the_first_of_two_aliases():
    assert canonical_names(["filename", "image_path"]) == {"image_path": "path"}


@pytest.mark.parametrize(
    "text", ["a/b", "a\\b", "..", ".hidden", "a\nb", "a\0b", "a" * 201, "й" * 101, "a\udcff"]
)
def test_refuses_a_slide_id_that_is_no_folder_name(text):
    rule = "usable as the name of a folder, of at most 200 bytes"
    assert rule_broken("slide_id", text) == rule


@pytest.mark.parametrize("column", ["mpp", "objective_power"])
@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "0,25", "0.25 um"])
def test_refuses_a_number_that_is_none_or_not_above_0(column, text):
    assert rule_broken(column, text) == "a number above 0"


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *(("split", split) for split in SPLITS),
        ("fold", "0"),
        ("mpp", "2.5e-1"),
        ("slide_id", "й" * 100),
        ("slide_id", "TCGA-CR-7395-01A.1 (копия)"),
        ("label", "anything / at all"),
        *((column, "") for column in COLUMNS),
    ],
)
def test_lets_what_keeps_its_rule_pass(column, text):
    assert rule_broken(column, text) is None
