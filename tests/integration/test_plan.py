"""`wsikd plan`: what it says of a training, against what the training does then."""

import json
import shutil
import subprocess
import sys

import pytest
from torch.nn.modules.module import register_module_forward_pre_hook

from tests.builders import write_noise_workspace
from wsikd.cli import main
from wsikd.errors import TooLargeError
from wsikd.models import Network
from wsikd.models.images import Images
from wsikd.study import Study

SIZE = (1200, 960)
# the program ends by saying the most memory that it ever took, and its status
TAKEN = """
import sys
from pathlib import Path
from wsikd.cli import main
status = main(sys.argv[1:])
lines = Path("/proc/self/status").read_text().splitlines()
print(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0], status)
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Six slides with one region each, of which one that is learnt from is smaller."""
    folder = tmp_path_factory.mktemp("plan")
    write_noise_workspace(folder, [(400, 320), *[SIZE] * 5])
    return folder


@pytest.fixture
def study(prepared, tmp_path):
    return Study(shutil.copytree(prepared, tmp_path / "study"), say=lambda _: None)


def run(*arguments):
    told = subprocess.run(
        [sys.executable, "-c", TAKEN, *arguments], capture_output=True, text=True, check=False
    )
    peak, status = told.stdout.split()[-2:]
    assert status == "0", told.stderr
    return int(peak) * 1024


def test_regions_pixels_and_steps_are_those_of_the_records(study):
    (forecast,) = study.plan("distil", seconds=0, student_mag=1.25, accumulate=2, epochs=7)
    large, small = SIZE[0] * SIZE[1], 400 * 320
    assert forecast.learnt.regions == 3
    assert forecast.learnt.pixels == {
        "10x": 2 * large + small,
        "1.25x": (2 * large + small) // 64,
    }
    assert forecast.validated.pixels == {"10x": large, "1.25x": large // 64}
    assert (forecast.steps, forecast.epochs) == (2, 7)
    assert (forecast.largest_size, forecast.largest[2:]) == (SIZE, "/region-000")
    student, teacher = forecast.networks
    assert (student.role, student.learns, student.policies) == ("student", True, {"plain": 3})
    assert (teacher.role, teacher.learns, teacher.policies) == ("teacher", False, {"plain": 3})


def test_no_pixel_is_read(study):
    for image in study.workspace.store.glob("*/*.zarr"):
        shutil.rmtree(image)
    (forecast,) = study.plan("teach", seconds=0.2)
    assert forecast.learnt.regions == 3
    assert not study.workspace.runs.exists()


def test_a_teacher_that_is_not_there_yet_is_taken_for_granted_and_that_is_said(study):
    (forecast,) = study.plan("distil", seconds=0, student_mag=(5.0, 1.25)[1:])
    (note,) = forecast.notes
    assert "teacher-10x" in note
    assert note.endswith("taken to be a resnet10w32 till then")


def test_what_needs_more_memory_than_there_is_is_computed_in_slower_ways(study):
    (plenty,) = study.plan("teach", seconds=0)
    room = plenty.networks[0].peak_bytes["recompute"] / 2**30
    (scarce,) = study.plan("teach", seconds=0, memory_gib=1.01 * room)
    assert plenty.networks[0].policies == {"plain": 3}
    assert scarce.networks[0].policies == {"recompute": 2, "plain": 1}
    assert scarce.peak_bytes < plenty.peak_bytes


def test_a_region_that_nothing_fits_is_refused_by_name_before_anything_is_trained(study):
    message = (
        rf"^s\d/region-000: {SIZE[0]} x {SIZE[1]} pixels must take at most the 107 MB that "
        r"networks may, take \d+ MB computed '\w+', which takes least; use a lower magnification"
    )
    with pytest.raises(TooLargeError, match=message):
        study.plan("teach", seconds=0, memory_gib=0.1)
    with pytest.raises(TooLargeError, match=message):
        study.teach(memory_gib=0.1)
    assert not list(study.workspace.runs.glob("*/log.jsonl"))


def test_a_cached_teacher_is_asked_once_and_its_answers_take_room(study):
    (live,) = study.plan("distil", seconds=0.3, student_mag=1.25)
    (cached,) = study.plan("distil", seconds=0.3, student_mag=1.25, teacher_pass="cached")
    maps = 3 * 8 * -(-150 // 32) * -(-120 // 32) + -(-150 // 32) * -(-120 // 32)
    small = 8 * -(-50 // 32) * -(-40 // 32)
    large = maps - 8 * -(-150 // 32) * -(-120 // 32)  # two that are learnt from, one of validation
    assert cached.cache_bytes == (large + small) * 256 * 2 * 4
    assert live.cache_bytes == 0
    assert cached.seconds < live.seconds
    assert cached.hours > cached.seconds * cached.epochs / 3600


@pytest.fixture
def read_at_once():
    """Collect how many images of which size (width, height) networks on this machine are given."""
    found = set()

    def see(module, inputs):
        pixels = Images.of(inputs[0]).pixels if isinstance(module, Network) else None
        if pixels is not None and pixels.device.type != "meta":
            count, _, height, width = pixels.shape
            found.add((count, width, height))

    hook = register_module_forward_pre_hook(see)
    yield found
    hook.remove()


@pytest.mark.parametrize(("teacher_pass", "together"), [("live", 3), ("cached", 1)])
def test_a_cached_teacher_is_timed_region_by_region_as_it_is_asked(
    study, read_at_once, teacher_pass, together
):
    # a batch has room for all three regions that are learnt from
    how = {"student_mag": 1.25, "batch_mpix": 4, "teacher_pass": teacher_pass}
    study.plan("distil", seconds=0.01, **how)
    width, height = SIZE
    assert read_at_once == {(together, width, height), (3, width // 8, height // 8)}


def test_all_numbers_come_as_json_and_times_only_if_asked_for(study, capsys):
    arguments = ["plan", "teach", "--json", "--workspace", str(study.workspace.root)]
    assert main([*arguments, "--seconds", "0"]) == 0
    (untimed,) = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--seconds", "0.3"]) == 0
    (timed,) = json.loads(capsys.readouterr().out)
    assert (untimed["format"], untimed["version"]) == ("wsikd-plan", 1)
    assert untimed["hours"] is untimed["seconds"] is None
    assert timed["hours"] > 0
    assert timed["seconds"] > 0


def test_the_plan_is_told_in_lines_and_a_training_tells_two_of_them(study, capsys):
    where = ["--workspace", str(study.workspace.root)]
    assert main(["plan", "teach", "--seconds", "0", "--epochs", "1", *where]) == 0
    plan = capsys.readouterr().out.splitlines()
    assert main(["teach", "--epochs", "1", *where]) == 0
    told = capsys.readouterr().err.splitlines()
    assert plan[0] == "teacher-10x"
    learns = "learns from 3 regions, 2.4 MPix at 10x, in 1 step an epoch for 1 epoch"
    assert plan[1] == f"  {learns}"
    assert f"teacher-10x: {learns}" in told
    assert plan[2].startswith("  takes at most ")
    assert plan[2].endswith(" on cpu; regions stay in memory, 11 MB")
    assert any(line.startswith("teacher-10x: takes at most ") for line in told)
    assert plan[3].startswith("  largest region: s")
    assert plan[4].startswith("  teacher at 10x, resnet10w32, learns: 3 plain; the largest takes ")


def test_it_is_planned_with_what_is_set_for_the_training(study, capsys):
    where = ["--workspace", str(study.workspace.root)]
    study.workspace.settings.write_text("teach: {mag: 1.25}\nplan: {teach: {seconds: 0}}\n")
    assert main(["plan", "teach", *where]) == 0
    told = capsys.readouterr().out
    assert told.startswith("baseline-1.25x\n")
    assert " an epoch\n" not in told
    study.workspace.settings.write_text("teach: {mag: 1.25, colour: 3}\n")
    assert main(["plan", "teach", *where]) == 2
    assert "--colour is unknown" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
def test_a_training_takes_no_more_than_was_said(study):
    where = ["--workspace", str(study.workspace.root)]
    (forecast,) = study.plan("teach", seconds=0)
    told = json.loads(
        subprocess.run(
            [sys.executable, "-m", "wsikd", "plan", "teach", "--json", "--seconds", "0", *where],
            capture_output=True,
            check=True,
        ).stdout
    )
    said = told[0]["peak_bytes"]
    assert said < 1.5 * forecast.peak_bytes  # which this program's own size is part of
    assert run("teach", "--epochs", "1", *where) < 1.15 * said
