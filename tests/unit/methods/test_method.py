import pytest

from wsikd.methods.method import Part


@pytest.mark.parametrize(
    ("part", "is_trained"),
    [
        (Part("teacher", "resnet10w32", 10.0), True),  # what wsikd teach makes
        (Part("student", "resnet10w32", 1.25), True),
        (Part("finetuned", "resnet10w32", 1.25, learns=False), True),  # its last layer
        (Part("teacher", "resnet10w32", 10.0, learns=False), False),  # a student's
        (Part("teacher", "resnet10w32", 10.0, learns=False, views=8), False),
    ],
)
def test_all_networks_are_trained_but_the_teacher_of_a_student(part, is_trained):
    assert part.is_trained is is_trained
