"""What every loss of distillation keeps."""

from functools import partial

import pytest
import torch

from wsikd.losses.distillation import FEATURE_MAP_LOSSES, feature_map_loss, soft_target_loss

LOSSES = {
    "soft": (soft_target_loss, (3, 5), (3, 5)),
    "soft at temperature 4": (partial(soft_target_loss, temperature=4.0), (3, 5), (3, 5)),
} | {
    kind: (partial(feature_map_loss, kind=kind), (2, 8, 3, 2), (2, 8, 25, 17))
    for kind in FEATURE_MAP_LOSSES
}


@pytest.mark.parametrize(("loss", "student_shape", "teacher_shape"), LOSSES.values(), ids=LOSSES)
class TestEveryLoss:
    def test_teaches_the_student_and_not_the_teacher(self, loss, student_shape, teacher_shape):
        student = torch.rand(student_shape, requires_grad=True)
        teacher = torch.rand(teacher_shape, requires_grad=True)
        loss(student, teacher).backward()
        assert teacher.grad is None
        assert student.grad.abs().sum() > 0

    def test_is_zero_when_the_student_sees_what_the_teacher_sees(
        self, loss, student_shape, teacher_shape
    ):
        same = torch.randn(student_shape, requires_grad=True)
        value = loss(same, same.detach().clone())
        value.backward()
        assert value.item() == pytest.approx(0, abs=1e-6)
        assert same.grad.abs().max().item() == pytest.approx(0, abs=1e-6)

    def test_is_above_zero_when_they_differ(self, loss, student_shape, teacher_shape):
        assert loss(torch.zeros(student_shape), torch.rand(teacher_shape) * 5) > 0

    @pytest.mark.parametrize("size", [0.0, 1e-30, 1e6])
    def test_is_finite_at_extremes(self, loss, student_shape, teacher_shape, size):
        student = (size * torch.randn(student_shape)).requires_grad_()
        value = loss(student, -size * torch.randn(teacher_shape))
        value.backward()
        assert value.isfinite()
        assert student.grad.isfinite().all()

    def test_repeated_images_do_not_change_it(self, loss, student_shape, teacher_shape):
        student, teacher = torch.rand(student_shape), torch.rand(teacher_shape)
        twice = loss(torch.cat([student, student]), torch.cat([teacher, teacher]))
        torch.testing.assert_close(twice, loss(student, teacher))
