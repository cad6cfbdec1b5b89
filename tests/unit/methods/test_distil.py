import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from wsikd.methods.distil import DistilSettings, make_step
from wsikd.methods.teacher_answers import LiveTeacher
from wsikd.models import build_model


def build(seed):
    torch.manual_seed(seed)
    return build_model("resnet10w32", 3)


@pytest.fixture(scope="module")
def batch():
    """Return both views of a region, without a label: there is no way to use one."""
    random = torch.Generator().manual_seed(0)
    return {
        "student": torch.randn(1, 3, 40, 48, generator=random),
        "teacher": torch.randn(1, 3, 320, 384, generator=random),
        "index": torch.tensor([0]),
    }


def by_hand(student, teacher, batch, temperature=1.0):
    """Work out each part of equations 2 and 3 in float64."""
    with torch.no_grad():
        fine, coarse = teacher(batch["teacher"]), student(batch["student"])
    p, q = ((seen.logits.double() / temperature).softmax(1) for seen in (fine, coarse))
    size = coarse.feature_map.shape[2:]
    fine_map, coarse_map = fine.feature_map.double(), coarse.feature_map.double()
    pooled = F.adaptive_max_pool2d(fine_map, size)
    bicubic = F.interpolate(fine_map, size, mode="bicubic")
    return {
        "soft": (temperature**2 * (p * (p / q).log()).sum()).item(),
        "maxpool": (pooled - coarse_map).square().mean().item(),
        "bicubic": (bicubic - coarse_map).square().mean().item(),
    }


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({"loss": "soft"}, {"soft": 1}),
        ({"loss": "maxpool"}, {"soft": 1, "maxpool": 1}),
        ({"loss": "bicubic"}, {"soft": 1, "bicubic": 1}),
        ({"loss": "both"}, {"soft": 1, "maxpool": 0.5, "bicubic": 0.5}),
        ({"loss": "both", "compat": "release"}, {"soft": 1, "maxpool": 0.5}),
        ({"loss": "maxpool", "compat": "release"}, {"soft": 1, "maxpool": 1}),
        ({"loss": "soft", "temperature": 4.0}, {"soft": 1}),
    ],
)
def test_the_loss_is_that_of_equations_2_and_3(batch, options, weights):
    student, teacher = build(1), build(2)
    settings = DistilSettings(student_mag=1.25, **options)
    terms = make_step(student, LiveTeacher(teacher), settings)(batch)
    parts = by_hand(student, teacher, batch, settings.temperature)
    expected = sum(weight * parts[name] for name, weight in weights.items())
    assert sum(term.item() for term in terms.values()) == pytest.approx(expected, rel=1e-4)


def test_only_the_student_gets_a_gradient(batch):
    student, teacher = build(1), build(2)
    terms = make_step(student, LiveTeacher(teacher), DistilSettings(student_mag=1.25))(batch)
    torch.stack(list(terms.values())).sum().backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    assert all(weight.grad is not None for weight in student.layer4.parameters())
    assert not teacher.training


def test_a_live_teacher_looks_once_at_images_that_stay_and_each_time_at_varied_ones(batch):
    looks = []
    teacher = build(2)
    teacher.register_forward_hook(lambda *_: looks.append(1))
    live = LiveTeacher(teacher)
    first, second = (live.answer(batch, (2, 2)) for _ in range(2))
    assert len(looks) == 1
    assert torch.equal(first.maps["maxpool"], second.maps["maxpool"])
    live.answer({**batch, "epoch": torch.tensor(1)}, (2, 2))
    live.answer({**batch, "index": torch.tensor([1])}, (2, 2))
    assert len(looks) == 3


def test_a_live_teacher_keeps_no_more_than_its_limit(batch):
    looks = []
    teacher = build(2)
    teacher.register_forward_hook(lambda *_: looks.append(1))
    live = LiveTeacher(teacher, limit_bytes=1000)
    for _ in range(2):
        live.answer(batch, (2, 2))
    assert len(looks) == 2


@pytest.mark.parametrize("options", [{"temperature": 0}, {"loss": "sum"}, {"student_mag": 0}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValidationError):
        DistilSettings(**{"student_mag": 1.25, **options})
