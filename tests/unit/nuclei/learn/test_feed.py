import numpy as np
import pytest
import torch
from PIL import Image

from wsikd.data.fields.field import FileField, balance
from wsikd.errors import SlideError
from wsikd.geometry import Region, Size
from wsikd.nuclei.learn.feed import CropFeed, draw_seed
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.training.batch import Batch

CPU = torch.device("cpu")
LIGHT = (200.0, 220.0, 210.0)


@pytest.fixture
def make_fields(tmp_path):
    """Write an image of noise of each size, and give them as fields."""

    def make(*sizes):
        return [
            _write(tmp_path / f"i{number}.png", Size(*size)) for number, size in enumerate(sizes)
        ]

    return make


def _write(path, size):
    random = np.random.default_rng(int(path.stem[1:]))
    pixels = random.integers(0, 256, (size.height, size.width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return FileField(
        slide_id=path.stem,
        region_id="image",
        box=Region(0, 0, size),
        slide_mpp=None,
        size=size,
        magnification=None,
        light=LIGHT,
        path=path,
    )


def feed_of(fields, **settings):
    quick = {"crop": 20, "crops": 8, "batch": 4, "balance": False}
    return CropFeed(fields, SegmentSettings(**quick | settings), CPU)


def batches_of(feed, order, epoch=1):
    per_step = feed._settings.batch
    return [batch for step in feed.steps(order, per_step, epoch=epoch) for batch in step]


def images_by_item(feed, order, epoch=1):
    return {
        item: image
        for batch in batches_of(feed, order, epoch)
        for item, image in zip(batch.indices, batch["image"].pixels, strict=True)
    }


def pixels_of(image):
    """Undo what brings bytes to 0.05 to 1."""
    return ((image - 0.05) / 0.95 * 255).round().byte().permute(1, 2, 0).numpy()


def is_part_of(crop, field):
    whole = np.asarray(Image.open(field.path))
    windows = np.lib.stride_tricks.sliding_window_view(whole, crop.shape).reshape(-1, *crop.shape)
    return bool((windows == crop).all(axis=(1, 2, 3)).any())


def test_crops_are_parts_of_the_fields_that_items_say(make_fields):
    fields = make_fields((40, 30), (30, 40))
    feed = feed_of(fields)
    for item, image in images_by_item(feed, feed.order(0, 1)).items():
        assert image.shape == (3, 20, 20)
        assert is_part_of(pixels_of(image), fields[item % 2])
        assert not is_part_of(pixels_of(image), fields[1 - item % 2])


def test_an_epoch_has_all_its_crops_but_the_rest_that_fills_no_batch(make_fields):
    feed = feed_of(make_fields((40, 30), (40, 30)), crops=11)
    order = feed.order(0, 1)
    assert [item // 2 for item in order] == list(range(8))
    assert [len(batch) for batch in batches_of(feed, order)] == [4, 4]


def test_every_field_is_cropped_by_its_area(make_fields):
    feed = feed_of(make_fields((20, 20), (60, 20)), crops=40)
    assert np.bincount([item % 2 for item in feed.order(0, 1)]).tolist() == [10, 30]


def test_a_crop_depends_on_its_place_and_not_on_the_batch_it_is_in(make_fields):
    fields = make_fields((40, 30), (30, 40))
    feed = feed_of(fields)
    order = feed.order(0, 1)
    apart = images_by_item(feed_of(fields, batch=1), order)
    together = images_by_item(feed, order)
    resumed = images_by_item(feed, order[4:])
    assert all(torch.equal(together[item], apart[item]) for item in order)
    assert all(torch.equal(together[item], resumed[item]) for item in order[4:])


def test_the_draw_of_a_batch_is_the_same_when_training_goes_on(make_fields):
    feed = feed_of(make_fields((40, 30)))
    order = feed.order(0, 3)
    first, second = (draw_seed(0, batch) for batch in batches_of(feed, order, 3))
    (again,) = (draw_seed(0, batch) for batch in batches_of(feed, order[4:], 3))
    assert again == second != first


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 2}])
def test_another_seed_or_epoch_crops_elsewhere(make_fields, other):
    fields = make_fields((40, 30))
    order = feed_of(fields).order(0, 1)
    one = images_by_item(feed_of(fields), order)
    two = images_by_item(feed_of(fields, seed=other.get("seed", 0)), order, other.get("epoch", 1))
    assert not any(torch.equal(one[item], two[item]) for item in order)


def test_an_image_smaller_than_a_crop_gives_its_side(make_fields):
    feed = feed_of(make_fields((40, 15)), crop=25)
    (first, _) = batches_of(feed, feed.order(0, 1))
    assert first["image"].pixels.shape == (4, 3, 15, 25)


def test_images_of_several_sizes_share_what_fits_all_of_a_batch(make_fields):
    feed = feed_of(make_fields((40, 15), (18, 40)), crop=25)
    order = [0, 1, 2, 3]  # each image twice
    (batch,) = batches_of(feed, order)
    assert batch["image"].pixels.shape == (4, 3, 15, 18)


def test_colours_are_balanced_by_the_light_of_their_field(make_fields):
    fields = make_fields((20, 20))
    (batch, _) = batches_of(feed_of(fields, balance=True), range(8))
    expected = balance(np.asarray(Image.open(fields[0].path)), LIGHT)
    assert (pixels_of(batch["image"].pixels[0]) == expected).all()


def test_a_batch_is_called_by_the_fields_it_is_of(make_fields):
    feed = feed_of(make_fields((20, 20), (20, 20)))
    assert feed.name(Batch((3,), {})) == "i1/image"
    assert feed.name(Batch((2, 3, 5), {})) == "i0/image and 2 more"


def test_what_cannot_be_read_is_said_where_batches_are_asked_for(make_fields):
    feed = feed_of(make_fields((40, 30)))
    feed._fields[0].path.unlink()
    with pytest.raises(SlideError, match=r"i0\.png: no such file"):
        batches_of(feed, [0])
