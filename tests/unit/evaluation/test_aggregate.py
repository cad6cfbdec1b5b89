import pandas as pd
import pytest

from wsikd.evaluation.aggregate import aggregate, decide

CLASSES = ("a", "b")


@pytest.fixture
def predictions():
    rows = [
        ("p1", "s1", "r0", "a", 0.9),
        ("p1", "s1", "r1", "a", 0.8),
        ("p1", "s1", "r2", "a", 0.1),
        ("p1", "s2", "r0", "a", 0.2),
        ("p2", "s3", "r0", "b", 0.4),
        ("p2", "s4", "r0", "a", 0.4),
    ]
    table = pd.DataFrame(rows, columns=["patient_id", "slide_id", "region_id", "label", "p_0"])
    return table.assign(p_1=1 - table["p_0"])


def test_a_slide_is_the_mean_of_its_regions(predictions):
    slides = aggregate(predictions, CLASSES, "slide")
    assert slides.loc[("p1", "s1"), "p_0"] == pytest.approx((0.9 + 0.8 + 0.1) / 3)


def test_a_patient_is_the_mean_of_its_slides_whatever_their_regions(predictions):
    patients = aggregate(predictions, CLASSES, "patient")
    assert patients.loc["p1", "p_0"] == pytest.approx((0.6 + 0.2) / 2)


def test_a_patient_with_slides_of_two_labels_is_not_decided(predictions):
    patients = decide(aggregate(predictions, CLASSES, "patient"), CLASSES)
    assert list(patients.index) == ["p1"]
    assert len(decide(aggregate(predictions, CLASSES, "slide"), CLASSES)) == 4


def test_the_most_probable_class_is_the_decision(predictions):
    regions = decide(aggregate(predictions, CLASSES, "region"), CLASSES)
    assert regions["prediction"].tolist() == [0, 0, 1, 1, 1, 1]
    assert regions["truth"].tolist() == [0, 0, 0, 0, 1, 0]
