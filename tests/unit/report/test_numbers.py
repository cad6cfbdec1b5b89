import pytest

from wsikd.report.numbers import tables_of


@pytest.fixture
def noted(changed):
    """Numbers of which the first run's right share and F1 have a note each, of the same words."""

    def change(values):
        slide = values["runs"][0]["units"]["slide"]
        slide["metrics"] = {
            name: estimate | {"note": "few patients"}
            if name in ("f1", "plain_accuracy")
            else estimate
            for name, estimate in slide["metrics"].items()
        }
        values["runs"][0]["units"]["slide"] = slide

    return changed(change)


def test_a_note_is_written_once_and_marked_in_each_cell(noted):
    tables = tables_of(noted)
    (row, *_) = dict(tables["units"])["slide"]
    cells = dict(zip(tables["columns"], row["estimates"], strict=True))
    assert cells["right"] == ("90.0", "80.0 to 96.0", "1", "few patients")
    assert cells["F1"].mark == "1"
    assert cells["accuracy"].mark == ""
    assert tables["footnotes"] == [(1, "few patients")]


def test_numbers_that_an_older_version_lacks_are_a_dash(metrics):
    tables = tables_of(metrics)
    (row, *_) = dict(tables["units"])["slide"]
    cells = dict(zip(tables["columns"], row["estimates"], strict=True))
    assert cells["AUROC"].value == cells["ECE"].value == "\N{EN DASH}"
    assert tables["per_class"][0]["classes"] == []


def test_ordered_classes_add_kappa_and_distance_as_plain_numbers(metrics):
    ordered = metrics.model_copy(update={"settings": metrics.settings | {"ordered": ["a", "b"]}})
    assert tables_of(metrics)["columns"][-1] == "ECE"
    assert tables_of(ordered)["columns"][-2:] == ["kappa", "distance"]
