import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.special import log_softmax

from wsikd.errors import ConfigError
from wsikd.geometry import Size
from wsikd.losses.distillation import (
    FEATURE_MAP_LOSSES,
    feature_map_loss,
    pad_maps,
    soft_target_loss,
)


def test_matches_the_sum_written_out_by_hand():
    student, teacher, temperature = torch.tensor([[0.0, 2.0]]), torch.tensor([[2.0, 0.0]]), 2.0
    p, q = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))  # teacher's and student's first class
    by_hand = temperature**2 * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    loss = soft_target_loss(student, teacher, temperature)
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_averages_over_the_batch_as_scipy_does_in_float64(temperature):
    drawn = np.random.default_rng(0)
    student, teacher = drawn.normal(0, 3, (2, 7, 5))
    log_p, log_q = log_softmax(teacher / temperature, 1), log_softmax(student / temperature, 1)
    expected = temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(1).mean()
    loss = soft_target_loss(torch.tensor(student), torch.tensor(teacher), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_measures_the_student_by_the_teachers_probabilities():
    sure, unsure = torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    # -log(1/2) as a sure teacher sees an unsure student; about 8 / 2 - log 2 the other way round
    assert soft_target_loss(unsure, sure).item() == pytest.approx(math.log(2), rel=0.01)
    assert soft_target_loss(sure, unsure).item() == pytest.approx(4 - math.log(2), rel=0.01)


def test_keeps_the_size_of_its_gradient_when_softened():
    student, teacher = torch.zeros(1, 3, requires_grad=True), torch.tensor([[0.3, 0.0, -0.3]])
    slopes = [
        torch.autograd.grad(soft_target_loss(student, teacher, temperature), student)[0]
        for temperature in (20.0, 40.0)
    ]
    # far above the logits the slope tends to (student - teacher) / K, whatever the temperature
    for slope in slopes:
        torch.testing.assert_close(slope, -teacher / 3, rtol=0, atol=1e-3)


def test_refuses_a_temperature_of_zero():
    with pytest.raises(ConfigError, match=r"temperature must be above 0, got 0\.0"):
        soft_target_loss(torch.zeros(1, 2), torch.zeros(1, 2), 0.0)


@pytest.fixture
def maps():
    drawn = torch.Generator().manual_seed(1)
    student = torch.rand(1, 2, 2, 3, generator=drawn, dtype=torch.double)
    teacher = torch.rand(1, 2, 8, 12, generator=drawn, dtype=torch.double)
    return student, teacher


def max_pool_error(student, teacher):
    blocks = teacher.numpy().reshape(2, 2, 4, 3, 4).max((2, 4))
    return ((student.numpy()[0] - blocks) ** 2).mean()


def bicubic_error(student, teacher):
    # a fourth of the size reads midway between pixels 1 and 2 of each four: a = -0.75 gives these
    weights = np.array([-3, 19, 19, -3]) / 32
    blocks = teacher.numpy().reshape(2, 2, 4, 3, 4)
    points = np.einsum("cyixj,i,j->cyx", blocks, weights, weights)
    return ((student.numpy()[0] - points) ** 2).mean()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("maxpool", max_pool_error),
        ("bicubic", bicubic_error),
        ("both", lambda s, t: (max_pool_error(s, t) + bicubic_error(s, t)) / 2),
        ("both-release", lambda s, t: max_pool_error(s, t) / 2),
    ],
)
def test_matches_the_errors_written_out_with_numpy(maps, kind, expected):
    assert feature_map_loss(*maps, kind).item() == pytest.approx(expected(*maps), rel=1e-12)


def test_takes_both_terms_by_default(maps):
    assert feature_map_loss(*maps) == feature_map_loss(*maps, "both")


def test_reads_points_instead_of_averaging_when_it_reduces():
    teacher = torch.zeros(1, 1, 16, 16)
    teacher[..., ::16, ::16] = 100.0  # away from the centre: an anti-aliased kernel would see it
    assert feature_map_loss(torch.zeros(1, 1, 1, 1), teacher, "bicubic").item() == 0
    reduced = Image.fromarray(teacher[0, 0].numpy()).resize((1, 1), Image.Resampling.BICUBIC)
    assert np.asarray(reduced)[0, 0] != 0


def test_refuses_maps_of_unequal_channels():
    with pytest.raises(ConfigError, match="equal channels, got 256 of the student and 2048"):
        feature_map_loss(torch.zeros(1, 256, 1, 1), torch.zeros(1, 2048, 1, 1))


sides = st.integers(1, 5)
student_and_teacher = st.tuples(sides, sides, sides, sides)


def draw_maps(sizes, seed):
    random = torch.Generator().manual_seed(seed)
    return [
        (
            torch.rand(4, h, w, generator=random, dtype=torch.double),
            torch.rand(4, 3 * tall, 4 * wide, generator=random, dtype=torch.double),
        )
        for w, h, wide, tall in sizes
    ]


def sizes_of(maps):
    return [Size(one.shape[2], one.shape[1]) for one in maps]


@given(
    st.sampled_from(list(FEATURE_MAP_LOSSES)),
    st.lists(student_and_teacher, min_size=1, max_size=5),
    st.integers(0, 100),
)
def test_a_batch_of_unequal_maps_counts_each_as_alone(kind, sizes, seed):
    students, teachers = zip(*draw_maps(sizes, seed), strict=True)
    packed = pad_maps(students).requires_grad_()
    loss = feature_map_loss(
        packed,
        pad_maps(teachers),
        kind,
        student_sizes=sizes_of(students),
        teacher_sizes=sizes_of(teachers),
    )
    loss.backward()
    singles = [one[None].requires_grad_() for one in students]
    pairs = zip(singles, teachers, strict=True)
    alone = torch.stack([feature_map_loss(one, other[None], kind) for one, other in pairs]).mean()
    alone.backward()
    assert loss.item() == pytest.approx(alone.item(), rel=1e-12)
    gradients = pad_maps([one.grad[0] for one in singles])
    torch.testing.assert_close(packed.grad, gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("said", ["student", "teacher"])
def test_sizes_that_all_fill_their_maps_may_be_left_out(said):
    (first, fine), (second, other) = draw_maps([(2, 3, 4, 5), (2, 3, 1, 2)], 0)
    student, teacher = torch.stack([first, second]), torch.stack([fine, fine])
    if said == "student":  # both of the teacher's are of one size
        found = feature_map_loss(student, teacher, student_sizes=sizes_of([first, second]))
        expected = feature_map_loss(student, teacher)
    else:
        sizes = sizes_of([fine, other])
        found = feature_map_loss(student, pad_maps([fine, other]), teacher_sizes=sizes)
        alone = zip(student, (fine, other), strict=True)
        expected = sum(feature_map_loss(one[None], its[None]) for one, its in alone) / 2
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
