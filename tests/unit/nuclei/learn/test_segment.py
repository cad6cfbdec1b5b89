from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Generator

from wsikd.config import explain
from wsikd.data.fields.field import FileField
from wsikd.errors import ConfigError, DivergedError, NothingUsableError, SlideError
from wsikd.geometry import Region, Size
from wsikd.models.images import Images
from wsikd.nuclei.learn.contrast import Contrast
from wsikd.nuclei.learn.inputs import gather
from wsikd.nuclei.learn.patch_contrast import SIMILARITIES
from wsikd.nuclei.learn.segment import has_converged, segment
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.learn.watch import Watch
from wsikd.training.batch import Batch
from wsikd.workspace import Workspace

CPU = torch.device("cpu")
SMALL = {"channels": 2, "window": 8, "stride": 4, "windows": 12, "crop": 40}


def contrast_of(**settings):
    return Contrast(SegmentSettings(**SMALL | settings), CPU)


def images_of(count=2, side=40):
    return torch.rand(count, 3, side, side, generator=Generator().manual_seed(1)) * 0.95 + 0.05


def batch_of(draw=0, **options):
    return Batch((draw,), {"image": Images(images_of(**options))})


def sure_of(contrast, chance):
    """Let every channel be as sure as this everywhere."""
    with torch.no_grad():
        contrast.network.head.weight.zero_()
        contrast.network.head.bias.fill_(torch.logit(torch.tensor(chance), eps=1e-9))


class TestStep:
    @pytest.mark.parametrize("compat", [None, "release"])
    @pytest.mark.parametrize("similarity", SIMILARITIES)
    def test_every_similarity_trains_all_that_it_uses(self, similarity, compat):
        options = {"window": 50, "crop": 60} if similarity == "cosine" else {}
        contrast = contrast_of(similarity=similarity, compat=compat, **options)
        terms = contrast.step(batch_of(side=options.get("crop", 40)))
        assert set(terms) == {"intra", "inter"}
        sum(terms.values()).backward()
        for name, weight in contrast.networks.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.isfinite().all(), name
        head = contrast.network.head.weight.grad
        assert (head.abs().sum((1, 2, 3)) > 0).all()  # of every channel

    def test_the_featuriser_is_there_for_the_cosine_alone(self):
        assert set(contrast_of().networks) == {"confidence"}
        cosine = contrast_of(similarity="cosine", window=50, crop=60)
        assert sum(weight.numel() for weight in cosine.networks.parameters()) == 7354 + 3386

    def test_the_draw_decides_a_step_and_nothing_else(self):
        first, again, other = (contrast_of().step(batch_of(draw))["intra"] for draw in (0, 0, 1))
        assert first == again != other

    def test_terms_between_channels_are_weighted(self):
        whole, half = (contrast_of(inter=weight).step(batch_of()) for weight in (1.0, 0.5))
        assert half["inter"].item() == pytest.approx(0.5 * whole["inter"].item())
        assert half["intra"] == whole["intra"]

    def test_one_channel_has_no_terms_between_channels(self):
        assert set(contrast_of(channels=1).step(batch_of())) == {"intra"}

    def test_one_usable_channel_is_learnt_from_but_not_in_the_published_code(self):
        for compat, expected in ((None, {"intra"}), ("release", set())):
            contrast = contrast_of(compat=compat)
            sure_of(contrast, 0.5)
            with torch.no_grad():
                contrast.network.head.bias[1] = 50
            assert set(contrast.step(batch_of())) == expected

    def test_twenty_vain_batches_in_a_row_end_training(self):
        contrast = contrast_of()
        sure_of(contrast, 0.0)
        assert [contrast.step(batch_of(draw)) for draw in range(19)] == [{}] * 19
        message = (
            r"^windows must be positive and negative in some channel, are not in 20 batches in a "
            r"row; lower --learning-rate, or raise --windows$"
        )
        with pytest.raises(DivergedError, match=message):
            contrast.step(batch_of(19))

    def test_a_batch_that_is_learnt_from_begins_the_count_anew(self):
        contrast = contrast_of()
        for _ in range(2):
            sure_of(contrast, 0.0)
            assert [contrast.step(batch_of(draw)) for draw in range(19)] == [{}] * 19
            sure_of(contrast, 0.5)
            assert contrast.step(batch_of())

    def test_first_weights_depend_on_the_seed_and_leave_other_chance_alone(self):
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        weights = [contrast_of(seed=seed).network.head.weight for seed in (0, 0, 1)]
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
        assert torch.equal(torch.rand(3), expected)


def log_of(*separations):
    """Log what was watched; None where no channel had both kinds of windows."""
    return [{"watched": {} if value is None else {"separation": value}} for value in separations]


class TestConvergence:
    SETTINGS = SegmentSettings(patience=3, separation=0.6, settled=0.05)

    @pytest.mark.parametrize(
        ("separations", "expected"),
        [
            ((0.55, 0.55, 0.55, 0.53, 0.52, 0.51), True),
            ((0.55, 0.55, 0.53, 0.52, 0.51), False),  # nothing as many epochs before
            ((0.62, 0.61, 0.63, 0.60, 0.58, 0.57), True),  # earlier ones may be above
            ((0.58, 0.58, 0.58, 0.58, 0.61, 0.57), False),
            ((0.5, 0.4, 0.5, 0.4, 0.5, 0.4), True),  # from epoch to epoch it may go up and down
            ((0.50, 0.49, 0.48, 0.45, 0.44, 0.42), False),  # the mean fell by 0.053
            ((0.42, 0.44, 0.45, 0.48, 0.49, 0.50), False),  # and rose
            ((0.1, 0.1, 0.1, 0.58, 0.57, 0.56, 0.55, 0.56, 0.57), True),  # long ago does not count
            ((), False),
        ],
    )
    def test_is_a_small_separation_whose_mean_no_longer_moves(self, separations, expected):
        assert has_converged(log_of(*separations), settings=self.SETTINGS) == expected

    def test_is_none_while_nothing_is_told_apart(self):
        assert not has_converged(log_of(*[None] * 6), settings=self.SETTINGS)
        late = log_of(*[None] * 3, *[0.5] * 5)
        assert not has_converged(late, settings=self.SETTINGS)
        assert has_converged([*late, *log_of(0.5)], settings=self.SETTINGS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"similarity": "cosine", "window": 10},
            "--similarity cosine needs --window 50, which its featuriser reads, got 10",
        ),
        ({"crops": 3, "batch": 4}, "--crops must be at least --batch 4, got 3"),
        ({"crop": 9, "window": 10}, "--crop must be at least --window 10, got 9"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_one_line(options, message):
    with pytest.raises(ValidationError) as refused:
        SegmentSettings(**options)
    assert explain(refused.value, as_option=True) == message


@pytest.fixture
def write(tmp_path):
    """Write an image of noise; give it as a field."""

    def make(name, width, height):
        random, path = np.random.default_rng(width), tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return FileField(
            slide_id=path.stem,
            region_id="image",
            box=Region(0, 0, Size(width, height)),
            slide_mpp=None,
            size=Size(width, height),
            magnification=None,
            light=(255.0, 255.0, 255.0),
            path=path,
        )

    return make


def test_a_field_smaller_than_a_window_is_refused_before_a_run_is_begun(write, tmp_path):
    fields = [write("a.png", 40, 40), write("b.png", 40, 7)]
    message = (
        r"/b\.png: image must be at least --window 8 px wide and high, is 40 x 7; leave it out$"
    )
    with pytest.raises(SlideError, match=message):
        segment([], fields, {}, tmp_path / "runs", SegmentSettings(**SMALL))
    assert not (tmp_path / "runs").exists()


class TestWatching:
    def test_looks_at_the_same_crops_after_every_epoch(self, write):
        contrast, fields = contrast_of(), [write("a.png", 90, 70), write("b.png", 30, 50)]
        watches = [Watch(contrast, fields, {}, contrast.settings) for _ in range(2)]
        first, again, other = watches[0](print), watches[0](print), watches[1](print)
        assert first == again == other
        assert set(first) == {"separation", "unexplained", "confidence", "entropy"}

    def test_without_both_kinds_of_windows_there_is_no_separation(self, write):
        contrast = contrast_of()
        sure_of(contrast, 0.0)
        watched = Watch(contrast, [write("a.png", 90, 70)], {}, contrast.settings)(print)
        assert set(watched) == {"unexplained", "confidence", "entropy"}
        assert watched["confidence"] == pytest.approx(0, abs=1e-6)
        assert watched["unexplained"] == 1

    def test_labels_that_are_not_of_the_fields_size_are_refused(self, write):
        contrast, field = contrast_of(select="labels"), write("a.png", 90, 70)
        half = replace(field, size=Size(45, 40))
        truths = {"a": lambda: np.zeros((70, 90), np.int32)}
        message = r"a\.png: --select labels needs --segment\.mpp to be that of the images, whose la"
        with pytest.raises(ConfigError, match=message):
            Watch(contrast, [half], truths, contrast.settings)


class TestGathering:
    @pytest.fixture
    def say(self):
        said = []
        return said, said.append

    def gather(self, tmp_path, say, paths=(), labelled=None, **settings):
        workspace = Workspace(tmp_path / "workspace")
        return gather(paths, labelled, SegmentSettings(**settings), workspace, say[1])

    def test_what_cannot_be_used_is_named_and_left_out(self, tmp_path, say, write):
        write("images/a.png", 40, 40)
        Image.new("L", (40, 40)).save(tmp_path / "images" / "b.png")
        gathered = self.gather(tmp_path, say, [tmp_path / "images"])
        assert [one.slide_id for one in gathered.inputs] == ["a"]
        assert [field.slide_id for field in gathered.fields] == ["a"]
        assert gathered.truths == {}
        (line,) = say[0]
        assert line.startswith(f"left out: {tmp_path / 'images' / 'b.png'}: must be in colour, is ")

    def test_nothing_left_is_refused(self, tmp_path, say):
        (tmp_path / "images").mkdir()
        Image.new("L", (40, 40)).save(tmp_path / "images" / "b.png")
        with pytest.raises(NothingUsableError, match="all 1 inputs were left out; see above"):
            self.gather(tmp_path, say, [tmp_path / "images"])

    def test_pixels_of_known_and_unknown_size_are_not_mixed(self, tmp_path, say, write):
        write("images/a.png", 40, 40)
        write("images/b.png", 40, 40)
        (tmp_path / "images" / "table.csv").write_text("path,mpp\na.png,0.25\nb.png,\n")
        message = r"all have µm per pixel or none, .*b\.png has none and .*a\.png some; train on e"
        with pytest.raises(ConfigError, match=message):
            self.gather(tmp_path, say, [tmp_path / "images"])

    @pytest.mark.parametrize(
        ("paths", "labelled", "select", "message"),
        [
            ([Path("images")], Path("set"), "stain", "--labelled and inputs exclude each other; g"),
            ([Path("images")], None, "labels", "--select labels needs --labelled, a set of images"),
        ],
    )
    def test_options_that_do_not_go_together_are_refused(
        self, tmp_path, say, paths, labelled, select, message
    ):
        with pytest.raises(ConfigError, match=message):
            self.gather(tmp_path, say, paths, labelled, select=select)

    def test_of_a_labelled_set_the_training_images_are_taken(self, tmp_path, say, write):
        self.write_set(tmp_path, write, a="train", b="test", c="train")
        gathered = self.gather(tmp_path, say, labelled=tmp_path)
        assert [one.slide_id for one in gathered.inputs] == ["a", "c"]
        assert [field.mpp for field in gathered.fields] == [None, None]
        truth = gathered.truths["c"]()
        assert (truth.shape, truth.max()) == ((40, 40), 3)

    def test_a_labelled_set_without_training_images_is_refused(self, tmp_path, say, write):
        self.write_set(tmp_path, write, a="test", b="test")
        with pytest.raises(NothingUsableError, match=r": has no training image; give a set that"):
            self.gather(tmp_path, say, labelled=tmp_path)

    def write_set(self, folder, write, **parts):
        rows = ["name,image,mask,challenge_part"]
        for name, part in parts.items():
            write(f"{name}.png", 40, 40)
            Image.fromarray(np.full((40, 40), 3, np.uint8)).save(folder / f"{name}-mask.png")
            rows.append(f"{name},{name}.png,{name}-mask.png,{part}")
        (folder / "labels.csv").write_text("\n".join(rows) + "\n")
