from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from wsikd.config import explain
from wsikd.methods.distil import make_step
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.teacher_answers import LiveTeacher, MapSizes
from wsikd.models import build_model
from wsikd.models.images import Images
from wsikd.training.batch import Batch

SIZES = MapSizes((2, 2))


def build(seed):
    torch.manual_seed(seed)
    return build_model("resnet10w32", 3)


@pytest.fixture(scope="module")
def batch():
    """Return both views of a region, without a label: there is no way to use one."""
    random = torch.Generator().manual_seed(0)
    images = {
        "student-1.25x": torch.randn(1, 3, 40, 48, generator=random),
        "teacher": torch.randn(1, 3, 320, 384, generator=random),
    }
    return Batch((0,), {name: Images(image) for name, image in images.items()})


def by_hand(student, teacher, batch, temperature=1.0):
    """Work out each part of equations 2 and 3 in float64."""
    with torch.no_grad():
        fine, coarse = teacher(batch["teacher"]), student(batch["student-1.25x"])
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


@pytest.mark.parametrize("mags", [10, 20, (5, 20, 1.25)])
def test_a_student_as_fine_as_the_usual_teacher_is_refused_before_anything_is_looked_for(mags):
    largest = 10 if mags == 10 else 20
    with pytest.raises(ValidationError) as refusal:
        DistilSettings(student_mag=mags)
    assert explain(refusal.value) == (
        f"--student-mag must be below the teacher's 10, got {largest}; choose a lower one, or "
        "name a --teacher that reads more"
    )
    assert DistilSettings(student_mag=mags, teacher="teacher-40x").teacher == "teacher-40x"


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
    first, second = (live.answer(batch, "a", SIZES) for _ in range(2))
    assert len(looks) == 1
    assert torch.equal(first.maps["maxpool"], second.maps["maxpool"])
    live.answer(replace(batch, epoch=1), "a", SIZES)
    live.answer(replace(batch, indices=(1,)), "a", SIZES)
    assert len(looks) == 3


def test_a_live_teacher_looks_once_at_a_batch_for_all_students(batch):
    looks = []
    teacher = build(2)
    teacher.register_forward_hook(lambda *_: looks.append(1))
    live, varied = LiveTeacher(teacher), replace(batch, epoch=1)
    large, small = live.answer(varied, "a", MapSizes((4, 4))), live.answer(varied, "b", SIZES)
    assert len(looks) == 1
    assert (large.maps["bicubic"].shape[2:], small.maps["bicubic"].shape[2:]) == ((4, 4), (2, 2))
    live.answer(replace(batch, epoch=2), "a", SIZES)
    assert len(looks) == 2


def test_a_teachers_view_is_needless_once_all_students_have_their_answers(batch):
    live = LiveTeacher(build(2))
    for student in ("a", "b"):
        live.expect(student)
    live.answer(batch, "a", SIZES)
    assert live.needless([0]) == ()
    live.answer(batch, "b", SIZES)
    assert live.needless([0]) == {"teacher"}
    assert live.needless([1]) == ()
    blind = replace(batch, images={"student-1.25x": batch["student-1.25x"]})
    assert live.answer(blind, "a", SIZES).logits.shape == (1, 3)


def test_students_of_unequal_regions_learn_the_mean_of_what_each_alone_would_teach():
    random = torch.Generator().manual_seed(1)
    shapes = [((24, 40), (192, 320)), ((33, 17), (264, 136)), ((8, 8), (64, 64))]
    pairs = [[torch.randn(3, *size, generator=random) for size in each] for each in shapes]

    def batch_of(some):
        views = zip(("student-1.25x", "teacher"), zip(*some, strict=True), strict=True)
        layout = torch.contiguous_format
        return Batch((0,), {name: Images.pad(list(each), layout) for name, each in views}, epoch=1)

    student, teacher = build(1).double(), build(2).double()
    pairs = [[image.double() for image in pair] for pair in pairs]
    step = make_step(student, LiveTeacher(teacher), DistilSettings(student_mag=1.25))
    together = step(batch_of(pairs))
    alone = [step(batch_of([pair])) for pair in pairs]
    for name, term in together.items():
        assert term.item() == pytest.approx(sum(one[name].item() for one in alone) / 3, rel=1e-12)


def test_a_live_teacher_keeps_no_more_than_its_limit(batch):
    looks = []
    teacher = build(2)
    teacher.register_forward_hook(lambda *_: looks.append(1))
    live = LiveTeacher(teacher, limit_bytes=1000)
    for _ in range(2):
        live.answer(replace(batch), "a", SIZES)
    assert len(looks) == 2


@pytest.mark.parametrize("options", [{"temperature": 0}, {"loss": "sum"}, {"student_mag": 0}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValidationError):
        DistilSettings(**{"student_mag": 1.25, **options})


def test_several_magnifications_are_written_as_a_list_and_one_as_a_number():
    assert DistilSettings(student_mag=1.25).model_dump(mode="json")["student_mag"] == 1.25
    several = DistilSettings(student_mag=[5, 1.25]).model_dump(mode="json")
    assert several["student_mag"] == [5.0, 1.25]
    assert DistilSettings(**several).student_mag == (5.0, 1.25)


def test_a_name_of_several_students_has_the_magnification_of_each_after_it():
    several = DistilSettings(student_mag=[5, 1.25], name="x").each()
    assert [one.name for one in several] == ["x-5x", "x-1.25x"]
    (alone,) = DistilSettings(student_mag=1.25, name="x").each()
    assert alone.name == "x"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"student_mag": [5, 5]}, "one magnification or several different ones"),
        ({"student_mag": []}, "one magnification or several different ones"),
    ],
)
def test_magnifications_of_which_no_runs_can_be_made_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        DistilSettings(**options)
