import numpy as np
import pytest
import torch

from wsikd.data.regions import RegionItem
from wsikd.data.statistics import channel_statistics, standardise
from wsikd.errors import StoreError


def items_of(*slide_ids):
    return [RegionItem(slide_id, "p", "region-000", "train", "") for slide_id in slide_ids]


@pytest.mark.parametrize(("level", "magnification"), [(0, 10.0), (1, 2.5)])
def test_weighs_every_pixel_of_every_region_alike(store, images, level, magnification):
    mean, std = channel_statistics(store, items_of("a", "b", "c"), magnification)
    pixels = np.concatenate([images[name][0][level].reshape(-1, 3) for name in ("a", "b", "c")])
    np.testing.assert_allclose(mean, pixels.mean(0, dtype=np.float64) / 255, rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(0, dtype=np.float64) / 255, rtol=1e-12)


def test_does_not_depend_on_the_order_of_the_regions(store):
    forth = channel_statistics(store, items_of("a", "b", "c"), 10.0)
    assert forth == channel_statistics(store, items_of("c", "a", "b"), 10.0)


def test_gives_a_blank_channel_a_deviation_of_one_grey_level(store, images):
    mean, std = channel_statistics(store, items_of("aux"), 2.5)  # a single pixel
    assert mean == pytest.approx(images["aux"][0][1][0, 0] / 255)
    assert std == (1 / 255, 1 / 255, 1 / 255)


def test_refuses_a_magnification_that_was_not_prepared(store):
    with pytest.raises(StoreError, match="5x was not prepared"):
        channel_statistics(store, items_of("a"), 5.0)


def test_standardised_training_pixels_have_mean_0_and_deviation_1(store, images):
    image = torch.from_numpy(images["a"][0][0]).permute(2, 0, 1) / 255
    standardised = standardise(image.double(), *channel_statistics(store, items_of("a"), 10.0))
    for channel in standardised:
        assert channel.mean().item() == pytest.approx(0, abs=1e-6)
        assert channel.std(correction=0).item() == pytest.approx(1, rel=1e-6)


def test_standardises_a_batch_like_each_image_and_leaves_it_as_it_was():
    batch = torch.rand(2, 3, 4, 5)
    before, mean, std = batch.clone(), (0.8, 0.6, 0.7), (0.1, 0.2, 0.3)
    together = standardise(batch, mean, std)
    assert torch.equal(together, torch.stack([standardise(image, mean, std) for image in batch]))
    assert torch.equal(batch, before)
