"""Training of nuclei segmenters on small drawn images and a slide, and what it refuses."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage.draw import disk

from wsikd.cli import main
from wsikd.data.fields.field import balance, brightest
from wsikd.errors import BusyError, ResumeError, StoppedError
from wsikd.hashing import content_fingerprint
from wsikd.nuclei.learn.inputs import gather
from wsikd.nuclei.learn.patch_contrast import SIMILARITIES
from wsikd.nuclei.learn.segment import segment
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.network import lift
from wsikd.nuclei.weights import load_segmenter
from wsikd.runs import RunFolder
from wsikd.training.trainee import Trainee
from wsikd.workspace import Workspace

QUICK = {
    "device": "cpu",
    "channels": 2,
    "crop": 60,
    "crops": 6,
    "batch": 3,
    "epochs": 2,
    "windows": 12,
    "learning_rate": 2e-3,
}


def draw_tissue(width, height, seed):
    """Draw nuclei of haematoxylin on eosin; give the picture and their numbers."""
    random, numbers = np.random.default_rng(seed), np.zeros((height, width), np.uint16)
    for number in range(1, 13):
        centre, radius = random.uniform((0, 0), (height, width)), random.uniform(5, 8)
        numbers[disk(centre, radius, shape=numbers.shape)] = number
    amounts = np.where(numbers[..., None] > 0, (1.0, 0.2), (0.02, 0.3))
    amounts = amounts * random.normal(1, 0.1, amounts.shape)
    light = np.exp(-amounts @ np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]))
    return (240 * light).clip(0, 255).astype(np.uint8), numbers


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Return a set of six images with the numbers of their nuclei, half to train on."""
    folder = tmp_path_factory.mktemp("nuclei")
    rows = ["name,image,mask,challenge_part"]
    for number in range(6):
        pixels, numbers = draw_tissue(90 + 10 * (number % 2), 80, number)
        Image.fromarray(pixels).save(folder / f"i{number}.png")
        Image.fromarray(numbers).save(folder / f"i{number}-numbers.png")
        part = ("train", "test")[number % 2]
        rows.append(f"i{number},i{number}.png,i{number}-numbers.png,{part}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def images(labelled, tmp_path_factory):
    """Return a folder of the same images, without labels."""
    folder = tmp_path_factory.mktemp("images")
    for path in labelled.glob("i?.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def train(workspace, *paths, labelled=None, **options):
    settings, place = SegmentSettings(**QUICK | options), Workspace(workspace)
    gathered = gather(paths, labelled, settings, place, print)
    return segment(*gathered, place.runs, settings)


def as_options(**options):
    pairs = ((f"--{name.replace('_', '-')}", str(value)) for name, value in options.items())
    return [text for pair in pairs for text in pair]


def equal_weights(one, other, checkpoint="last"):
    first, second = (load_file(run.model_path(checkpoint)) for run in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_segmenter_is_trained_from_images_alone(images, tmp_path):
    run = train(tmp_path, images)
    assert run.name == "segment"
    assert run.is_complete()
    assert sorted(run.read_learnt()["slide_id"]) == [f"i{number}" for number in range(6)]
    first, last = run.read_log()
    assert (first["steps"], last["steps"]) == (2, 4)
    assert set(last["train"]) == {"loss", "intra", "inter"}
    assert set(last["watched"]) == {"separation", "unexplained", "confidence", "entropy"}
    _, described = load_segmenter(run.model_path())
    assert (described.channels, described.mpp, described.selected_by) == (2, None, "stain")
    assert described.is_nuclear_sized is None


def test_the_best_epoch_is_that_whose_confidence_explains_most_of_the_stain(images, tmp_path):
    run = train(tmp_path, images, epochs=4)
    unexplained = [entry["watched"]["unexplained"] for entry in run.read_log()]
    best = unexplained.index(min(unexplained)) + 1
    short = train(tmp_path / "short", images, epochs=best)
    expected = load_file(short.model_path("last"))
    chosen = load_file(run.model_path("best"))
    assert all(torch.equal(chosen[name], expected[name]) for name in expected)


def test_training_finds_the_nuclei_that_are_drawn(images, tmp_path):
    run = train(tmp_path, images, epochs=16)
    network, described = load_segmenter(run.model_path())
    pixels, numbers = draw_tissue(120, 100, seed=99)
    read = torch.from_numpy(balance(pixels, brightest(pixels))).permute(2, 0, 1)[None]
    with torch.no_grad():
        confidence = network(lift(read))[0, described.nuclei_channel].numpy()
    found = (1 - confidence if described.inverted else confidence) > described.threshold
    dice = 2 * (found & (numbers > 0)).sum() / (found.sum() + (numbers > 0).sum())
    assert dice > 0.8


def test_a_stopped_training_ends_with_the_weights_of_an_unbroken_one(images, tmp_path, monkeypatch):
    unbroken = train(tmp_path / "unbroken", images)
    take_step, taken = Trainee.take_step, []

    def stop_then_step(self, *args):
        taken.append(args)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, *args)

    monkeypatch.setattr(Trainee, "take_step", stop_then_step)
    with pytest.raises(StoppedError, match="saved in epoch 2 after step 3; run the same command"):
        train(tmp_path, images)
    resumed = train(tmp_path, images)
    assert equal_weights(resumed, unbroken)
    assert equal_weights(resumed, unbroken, "best")
    logs = [run.read_log() for run in (resumed, unbroken)]
    for entry in [*logs[0], *logs[1]]:
        del entry["seconds"]
    assert logs[0] == logs[1]


def test_a_finished_training_is_left_as_it_is(images, tmp_path, capsys):
    run = train(tmp_path, images, epochs=1)
    before = run.model_path().read_bytes()
    train(tmp_path, images, epochs=1)
    assert "segment: is finished already; nothing to do" in capsys.readouterr().err
    assert run.model_path().read_bytes() == before


def test_a_training_with_other_settings_or_images_is_not_taken_up(images, tmp_path):
    train(tmp_path, images, epochs=1, name="mine")
    with pytest.raises(ResumeError, match="mine: was started with window 10"):
        train(tmp_path, images, epochs=1, name="mine", window=12)
    with pytest.raises(ResumeError, match=r"mine: .*fields"):
        train(tmp_path, images / "i0.png", epochs=1, name="mine")


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_every_similarity_trains(images, tmp_path, similarity):
    window = {"window": 50} if similarity == "cosine" else {}
    run = train(tmp_path, images, similarity=similarity, epochs=1, crops=3, **window)
    (entry,) = run.read_log()
    assert entry["steps"] == 1
    assert np.isfinite(entry["train"]["loss"])
    load_segmenter(run.model_path())


def test_published_behaviour_is_trained_as_well(images, tmp_path):
    options = {"compat": "release", "compare": "colours", "balance": False}
    run = train(tmp_path, images, epochs=1, **options)
    _, described = load_segmenter(run.model_path())
    assert described.balanced is False
    other = train(tmp_path / "cured", images, epochs=1, **options | {"compat": None})
    losses = [each.read_log()[0]["train"]["intra"] for each in (run, other)]
    assert losses[0] != pytest.approx(losses[1], rel=0.01)


def test_labels_choose_the_channel_if_asked_to(labelled, tmp_path):
    run = train(tmp_path, labelled=labelled, select="labels")
    _, described = load_segmenter(run.model_path())
    assert described.selected_by == "labels"
    assert sorted(run.read_learnt()["slide_id"]) == ["i0", "i2", "i4"]


def test_labels_are_not_opened_unless_they_choose(labelled, tmp_path):
    unlabelled = tmp_path / "set"
    unlabelled.mkdir()
    for path in labelled.iterdir():
        is_truth = path.name.endswith("numbers.png")
        (unlabelled / path.name).write_bytes(b"" if is_truth else path.read_bytes())
    run = train(tmp_path, labelled=unlabelled, epochs=1)
    assert run.is_complete()


def test_no_convergence_is_said_and_nothing_is_lost(images, tmp_path, capsys):
    run = train(tmp_path, images, epochs=1)
    said = " ".join(capsys.readouterr().err.split())
    assert "segment: has not converged within 1 epochs: windows are not told apart steadily" in said
    assert run.is_complete()
    for checkpoint in ("best", "last"):
        assert load_segmenter(run.model_path(checkpoint))[1].has_converged is False


def test_convergence_ends_training_and_is_written_down(images, tmp_path, capsys):
    run = train(tmp_path, images, epochs=30, patience=1, settled=10, separation=10)
    assert len(run.read_log()) == 2
    assert load_segmenter(run.model_path())[1].has_converged is True
    assert "has not converged" not in capsys.readouterr().err


def test_objects_of_no_nucleus_size_are_warned_of(images, tmp_path, capsys):
    train(tmp_path, images, epochs=1, mpp=0.05, segment={"mpp": 0.05})  # crops 3 µm wide
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "no channel finds objects as large as nuclei, 3 to 20 µm; see that --mpp is right" in said
    )


def test_windows_all_of_one_kind_end_training_and_keep_what_was_saved(
    images, tmp_path, monkeypatch, capsys
):
    run = RunFolder(tmp_path / "runs" / "segment")
    options = {"epochs": 30, "crops": 30}
    take_step = Trainee.take_step

    def be_sure_of_nothing(self, *args):
        is_finite = take_step(self, *args)
        with torch.no_grad():
            self.learner.model["confidence"].head.bias.fill_(-60)
        return is_finite

    monkeypatch.setattr(Trainee, "take_step", be_sure_of_nothing)
    command = ["segment", "train", str(images), "--workspace", str(tmp_path)]
    assert main([*command, *as_options(**QUICK | options)]) == 4
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("wsikd: ")]
    assert line == (
        "wsikd: windows must be positive and negative in some channel, are not in 20 batches in a "
        "row; lower --learning-rate, or raise --windows"
    )
    assert load_segmenter(run.model_path("last"))[1].channels == 2
    assert not run.is_complete()


class TestCommand:
    def run(self, tmp_path, *arguments):
        workspace = ["--workspace", str(tmp_path / "workspace")]
        return main(["segment", "train", *map(str, arguments), *workspace])

    def test_trains_and_prints_where(self, images, tmp_path, capsys):
        assert self.run(tmp_path, images, *as_options(**QUICK | {"epochs": 1})) == 0
        shown = capsys.readouterr()
        assert shown.out == f"{tmp_path / 'workspace' / 'runs' / 'segment'}\n"
        assert "6 images or regions of 6 files" in shown.err

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (
                ["--select", "labels"],
                2,
                "--select labels needs --labelled, a set of images with known nuclei",
            ),
            (
                ["images", "--labelled", "set"],
                2,
                "--labelled and inputs exclude each other; give one",
            ),
            (
                ["images", "--similarity", "cosine", "--window", "10"],
                2,
                "--similarity cosine needs --window 50, which its featuriser reads, got 10",
            ),
            (["images", "--crops", "5"], 2, "--crops must be at least --batch 10, got 5"),
            (["lost"], 2, "lost: no such file or folder"),
            (["--labelled", "lost"], 2, "lost: no such folder"),
        ],
    )
    def test_refuses_in_one_line(self, tmp_path, capsys, arguments, status, message):
        assert self.run(tmp_path, *arguments) == status
        assert capsys.readouterr().err == f"wsikd: {message}\n"
        assert not (tmp_path / "workspace" / "runs").exists()


def test_a_slide_is_learnt_from_by_its_tissue(tmp_path):
    options = as_options(slides=1, pieces=1, mpp=1)
    assert main(["draw", str(tmp_path / "slides"), *options, "--piece-mm", "0.4", "0.4"]) == 0
    run = train(tmp_path, tmp_path / "slides", epochs=1, segment={"mpp": 1})
    learnt = run.read_learnt()
    assert learnt[["slide_id", "patient_id", "split", "pixels"]].to_numpy().tolist() == [
        ["slide-000", "patient-000", "train", ""]
    ]
    assert learnt["content"].tolist() == [content_fingerprint(next(tmp_path.glob("slides/*.svs")))]
    assert load_segmenter(run.model_path())[1].mpp == 1


def test_a_training_that_another_process_is_at_is_left_to_it(images, tmp_path):
    run = train(tmp_path, images)
    run.write_provenance(run.read_provenance().model_copy(update={"status": "running"}))
    with run.alone(), pytest.raises(BusyError, match="is writing to it"):
        train(tmp_path, images)
    assert not run.is_complete()
    assert train(tmp_path, images).is_complete()
