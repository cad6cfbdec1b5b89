import numpy as np
import pytest
import torch
from PIL import Image

from wsikd.data.patches import PatchSettings
from wsikd.errors import CheckpointError, ConfigError
from wsikd.explain.opening import LookSettings, Patches, choose_patches, open_runs
from wsikd.methods.pair_settings import PairSettings
from wsikd.models import build_model


class TestOpeningRuns:
    def test_loads_the_network_and_what_it_reads(self, workspace, write_run):
        write_run("teacher-10x", classes=("a", "b"))
        (run,) = open_runs(["teacher-10x"], workspace.runs, LookSettings())
        assert (run.name, run.description.classes) == ("teacher-10x", ("a", "b"))
        assert not run.model.training

    def test_takes_the_encoder_of_the_privileged_branch_if_asked(self, workspace, write_run):
        write_run("pair-x", privileged=7)
        settings = LookSettings(branch="privileged")
        (run,) = open_runs(["pair-x"], workspace.runs, settings)
        torch.manual_seed(7)
        expected = build_model("resnet10w32", 0).state_dict()["conv1.weight"]
        torch.testing.assert_close(run.model.state_dict()["conv1.weight"], expected)

    def test_standardises_images_for_the_network(self, workspace, write_run):
        write_run("pair-x", mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 0.25))
        (run,) = open_runs(["pair-x"], workspace.runs, LookSettings())
        image = np.full((2, 3, 3), 255, np.uint8)
        assert run.ready([image])[0, :, 1, 2].tolist() == [1.0, 1.5, 4.0]

    def test_names_the_runs_of_a_missing_one_that_has_folds(self, workspace, write_run):
        write_run("teacher-10x-fold0", fold=0)
        write_run("teacher-10x-fold1", fold=1)
        message = "teacher-10x: no such run; name one of teacher-10x-fold0, teacher-10x-fold1"
        with pytest.raises(CheckpointError, match=message):
            open_runs(["teacher-10x"], workspace.runs, LookSettings())

    def test_refuses_a_run_without_a_network_by_its_kind(self, workspace, write_run):
        run = write_run("control-colour", method="control")
        run.model_path().unlink()
        message = "control-colour: is a control; name a run with an encoder"
        with pytest.raises(CheckpointError, match=message):
            open_runs(["control-colour"], workspace.runs, LookSettings())

    def test_refuses_an_unfinished_run_and_passes_over_it_in_a_pattern(self, workspace, write_run):
        write_run("pair-x")
        unfinished = write_run("pair-y")
        made = unfinished.read_provenance()
        unfinished.write_provenance(made.model_copy(update={"status": "running"}))
        message = "pair-y: is not finished; go on with `wsikd pair`"
        with pytest.raises(CheckpointError, match=message):
            open_runs(["pair-y"], workspace.runs, LookSettings())
        opened = open_runs(["pair-*"], workspace.runs, LookSettings())
        assert [run.name for run in opened] == ["pair-x"]

    def test_refuses_networks_that_read_different_magnifications(self, workspace, write_run):
        write_run("teacher-10x")
        write_run("student-5x", magnification=5.0)
        message = "read the same magnification, teacher-10x reads 10x, student-5x 5x"
        with pytest.raises(ConfigError, match=message):
            open_runs(["teacher-10x", "student-5x"], workspace.runs, LookSettings())

    def test_refuses_a_run_that_is_named_twice(self, workspace, write_run):
        write_run("a")
        with pytest.raises(ConfigError, match="runs to compare must differ, got a twice"):
            open_runs(["a", "a"], workspace.runs, LookSettings())


class TestChoosingPatches:
    def chosen(self, workspace, count, **settings):
        look = LookSettings(**settings)
        (run,) = open_runs(["pair-x"], workspace.runs, look)
        return choose_patches(run, look, count, workspace)

    def test_takes_those_the_run_was_trained_on(self, workspace, write_run, write_images):
        folder = write_images("images", a=3, b=2)
        write_run("pair-x", settings=PatchSettings(images=folder, mag=10.0))
        patches = self.chosen(workspace, 10)
        assert len(patches) == 5
        assert patches.split == ""
        for name, label, pixels in zip(patches.names, patches.labels, patches.pixels, strict=True):
            with Image.open(folder / label / f"{name}.png") as image:
                np.testing.assert_array_equal(pixels, np.asarray(image))

    def test_takes_test_images_where_there_are_some(self, workspace, write_run, write_images):
        settings = PatchSettings(
            images=write_images("images", a=3, b=3),
            test_images=write_images("tested", c=4),
            mag=10.0,
        )
        write_run("pair-x", settings=settings)
        patches = self.chosen(workspace, 10)
        assert set(patches.labels) == {"c"}
        assert patches.split == "test"

    def test_takes_as_many_of_every_label(self, workspace, write_run, write_images):
        folder = write_images("images", a=12, b=3)
        write_run("pair-x", settings=PatchSettings(images=folder, mag=10.0))
        assert sorted(self.chosen(workspace, 6).labels) == ["a"] * 3 + ["b"] * 3
        assert sorted(self.chosen(workspace, 8).labels) == ["a"] * 5 + ["b"] * 3

    def test_chooses_by_the_seed_alone(self, workspace, write_run, write_images):
        folder = write_images("images", a=20)
        write_run("pair-x", settings=PatchSettings(images=folder, mag=10.0))
        first, again, other = (self.chosen(workspace, 5, seed=seed).names for seed in (1, 1, 2))
        assert first == again != other

    def test_takes_other_images_if_they_are_stated(self, workspace, write_run, write_images):
        own, other = write_images("own", a=2), write_images("other", z=2)
        write_run("pair-x", settings=PatchSettings(images=own, mag=10.0))
        assert set(self.chosen(workspace, 5, images=other, mag=10.0).labels) == {"z"}

    def test_refuses_images_of_another_magnification(self, workspace, write_run, write_images):
        folder = write_images("images", a=2)
        write_run("pair-x", settings=PatchSettings(images=folder, mag=10.0))
        message = "pair-x reads 10x, the images are 20x; choose others with --images or --mag"
        with pytest.raises(ConfigError, match=message):
            self.chosen(workspace, 5, images=folder, mag=20.0)

    def test_are_seen_as_the_branch_saw_them(self, workspace, write_run, write_images):
        folder = write_images("images", a=2)
        settings = PairSettings(images=folder, mag=10.0, pairing="downsample")
        write_run("pair-x", settings=settings, privileged=1)
        coarse, fine = (
            self.chosen(workspace, 2, branch=branch) for branch in ("primary", "privileged")
        )
        assert coarse.names == fine.names
        with Image.open(folder / "a" / f"{fine.names[0]}.png") as image:
            np.testing.assert_array_equal(fine.pixels[0], np.asarray(image))
        assert coarse.pixels[0].std() < fine.pixels[0].std() / 2

    def test_are_taken_as_they_are_if_images_are_stated(self, workspace, write_run, write_images):
        folder = write_images("images", a=1)
        settings = PairSettings(images=folder, mag=10.0, pairing="downsample")
        write_run("pair-x", settings=settings)
        stated = self.chosen(workspace, 1, images=folder, mag=10.0)
        with Image.open(folder / "a" / "a0.png") as image:
            np.testing.assert_array_equal(stated.pixels[0], np.asarray(image))


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(10, 4, [3, 4, 3]), (8, 4, [4, 4]), (5, 64, [5]), (65, 64, [32, 33])],
)
def test_batches_are_of_about_equal_size(count, size, sizes):
    patches = Patches(tuple(map(str, range(count))), ("",) * count, (), "")
    slices = list(patches.batches(size))
    assert sorted(len(patches.names[one]) for one in slices) == sorted(sizes)
    assert [name for one in slices for name in patches.names[one]] == list(patches.names)
