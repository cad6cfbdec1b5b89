import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from wsikd.errors import ConfigError
from wsikd.explain.cka import compare_layers, linear_gram, unbiased_hsic
from wsikd.models import build_model

seeds = st.integers(0, 2**32 - 1)


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hsic_of(first, second):
    return unbiased_hsic(linear_gram(first), linear_gram(second))


def cka_of(first, second):
    return hsic_of(first, second) / math.sqrt(hsic_of(first, first) * hsic_of(second, second))


def song_equation_5(first, second):
    """HSIC_1 as Song et al. print it, with traces."""
    k, l = (x.numpy() @ x.numpy().T for x in (first, second))  # noqa: E741  # the paper's letters
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    m, one = len(k), np.ones(len(k))
    middle = (one @ k @ one) * (one @ l @ one) / ((m - 1) * (m - 2))
    return (np.trace(k @ l) + middle - 2 / (m - 2) * (one @ k @ l @ one)) / (m * (m - 3))


class TestTheUnbiasedEstimate:
    @given(seed=seeds, count=st.integers(4, 12), widths=st.tuples(*[st.integers(1, 9)] * 2))
    def test_is_equation_5_of_song(self, seed, count, widths):
        first, second = normal(seed, count, widths[0]), normal(seed + 1, count, widths[1])
        assert hsic_of(first, second) == pytest.approx(song_equation_5(first, second), abs=1e-10)

    def test_is_the_mean_over_all_quadruples_of_images(self):
        # the U-statistic it is defined as, counted out over ordered quadruples without repeats
        first, second = normal(1, 6, 3), normal(2, 6, 2)
        k, l = (first @ first.T).numpy(), (second @ second.T).numpy()  # noqa: E741
        terms = [
            k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
            for i, j, q, r in itertools.permutations(range(6), 4)
        ]
        assert hsic_of(first, second) == pytest.approx(float(np.mean(terms)), rel=1e-12)

    def test_of_unrelated_features_is_0_on_average_even_for_four_images(self):
        values = [hsic_of(normal(2 * n, 4, 8), normal(2 * n + 1, 4, 8)) for n in range(1000)]
        error = np.std(values) / math.sqrt(len(values))
        assert abs(np.mean(values)) < 4 * error

    def test_three_images_are_too_few(self):
        with pytest.raises(ConfigError, match="images for CKA must be at least 4 a batch, got 3"):
            linear_gram(torch.ones(3, 2))


class TestIdentities:
    @given(seed=seeds)
    def test_a_rotation_a_scale_and_an_offset_change_nothing(self, seed):
        features = normal(seed, 9, 5)
        rotation, _ = torch.linalg.qr(normal(seed + 1, 5, 5))
        assert cka_of(features, 7 * features @ rotation + 3) == pytest.approx(1)

    @given(seed=seeds)
    def test_it_is_symmetric(self, seed):
        first, second = normal(seed, 8, 3), normal(seed + 1, 8, 6)
        assert hsic_of(first, second) == pytest.approx(hsic_of(second, first))

    def test_stretching_one_direction_changes_it(self):
        features = normal(0, 50, 2)
        assert cka_of(features, features * torch.tensor([1.0, 5.0])) < 0.95

    def test_features_in_many_pieces_are_those_in_one(self, monkeypatch):
        features = normal(0, 5, 4, 6, 6)
        whole = linear_gram(features)
        monkeypatch.setattr("wsikd.explain.cka._CHUNK", 37)
        np.testing.assert_allclose(linear_gram(features), whole)

    def test_rounding_is_no_difference(self):
        noise = torch.randn(8, 100, generator=torch.Generator().manual_seed(0)) * 1e-7
        assert not linear_gram(3 + noise).any()
        assert linear_gram(3 + 1e3 * noise).any()


def networks(count, name="resnet10w32"):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(build_model(name, 2).eval())
    return made


def pictures(count, seed=0, size=32):
    """Images that differ in colour and in structure."""
    random = torch.Generator().manual_seed(seed)
    colour = torch.randn(count, 3, 1, 1, generator=random)
    return colour + torch.randn(count, 3, size, size, generator=random)


def features_of(models, images):
    """Features of all layers of all networks, taken by hand."""
    every = []
    for model in models:
        found = [model.maxpool(torch.relu(model.bn1(model.conv1(images))))]
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            found.append(stage(found[-1]))
        every += [one.detach().flatten(1).double() for one in found]
    return every


def full_batch_hsic(models, images):
    """HSIC of all layers by Song's equation on all images at once."""
    every = features_of(models, images)
    return np.array([[song_equation_5(first, second) for second in every] for first in every])


def normalised(hsic):
    scale = np.sqrt(np.diag(hsic))
    return hsic / np.outer(scale, scale)


class TestComparingLayers:
    def test_one_batch_is_the_full_computation(self):
        models, images = networks(2), pictures(12)
        found = compare_layers(models, [(images, images)], shuffles=0)
        assert found.images == 12
        np.testing.assert_allclose(
            found.observed, normalised(full_batch_hsic(models, images)), atol=1e-4
        )

    def test_all_batches_of_5_among_7_images_average_to_the_full_computation(self):
        # the mean of an unbiased estimate over all subsets is the estimate of the whole
        models, images = networks(2), pictures(7)
        subsets = [images[list(chosen)] for chosen in itertools.combinations(range(7), 5)]
        found = compare_layers(models, [(part, part) for part in subsets], shuffles=0)
        np.testing.assert_allclose(
            found.observed, normalised(full_batch_hsic(models, images)), atol=1e-4
        )

    def test_a_batch_weighs_as_much_as_it_has_images(self):
        models, images = networks(2), pictures(12)
        small, large = images[:4], images[4:]
        found = compare_layers(models, [(small, small), (large, large)], shuffles=0)
        hsic = (4 * full_batch_hsic(models, small) + 8 * full_batch_hsic(models, large)) / 12
        np.testing.assert_allclose(found.observed, normalised(hsic), atol=1e-4)

    def test_a_network_is_like_itself(self):
        (model,), images = networks(1), pictures(8)
        between = compare_layers([model, model], [(images, images)], shuffles=0).observed[:5, 5:]
        np.testing.assert_allclose(np.diagonal(between), 1, rtol=1e-12)
        np.testing.assert_allclose(between, between.T, rtol=1e-12)

    def test_each_network_sees_its_own_view(self):
        (model,), images = networks(1), pictures(8)
        found = compare_layers([model, model], [(images, pictures(8, seed=9))], shuffles=0)
        assert (np.abs(np.diagonal(found.observed[:5, 5:])) < 0.7).all()

    def test_shuffled_images_give_0_on_average(self):
        models, images = networks(2), pictures(48)
        batches = [(part, part) for part in images.split(12)]
        shuffled = compare_layers(models, batches, shuffles=200).shuffled
        assert shuffled.shape == (200, 10, 10)
        error = shuffled.std(0) / math.sqrt(200)
        assert (np.abs(shuffled.mean(0)) < 4.5 * error).all()

    def test_a_shuffle_is_cka_with_the_second_sides_images_in_another_order(self):
        models, images = networks(2), pictures(7)
        found = compare_layers(models, [(images, images)], shuffles=1, seed=3).shuffled[0, :5, 5:]
        order = np.random.default_rng(3).permutation(7)
        by_hand = compare_layers(models, [(images, images[order])], shuffles=0).observed[:5, 5:]
        np.testing.assert_allclose(found, by_hand, atol=1e-6)

    def test_the_same_seed_gives_the_same_shuffles(self):
        models, images = networks(1), pictures(6)
        first, again, other = (
            compare_layers(models, [(images,)], shuffles=3, seed=seed).shuffled
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_a_layer_that_says_the_same_of_every_image_has_no_value(self):
        (model,), images = networks(1), pictures(6)
        nn.init.zeros_(model.layer4[0].bn2.weight)
        nn.init.zeros_(model.layer4[0].downsample[1].weight)
        found = compare_layers([model], [(images,)], shuffles=0).observed
        assert np.isnan(found[4]).all()
        assert np.isfinite(found[:4, :4]).all()

    @pytest.mark.usefixtures("small_timm")
    def test_networks_of_other_layers_make_a_rectangle(self):
        (first,), (second,), images = networks(1), networks(1, "mobilenetv2"), pictures(9)
        found = compare_layers([first, second], [(images, images)], shuffles=3)
        resnet = ("stem", "layer1", "layer2", "layer3", "layer4")
        assert found.layers == (resnet, ("blocks.0", "blocks.1", "head"))
        observed, shuffled = found.between([0], [1])
        assert (observed.shape, shuffled.shape) == ((1, 1, 5, 3), (3, 1, 1, 5, 3))
        finer = second.body.blocks[0](images)
        every = features_of([first], images) + [
            one.detach().flatten(1).double()
            for one in (finer, second.body.blocks[1](finer), second(images).feature_map)
        ]
        by_hand = [[song_equation_5(one, other) for other in every] for one in every]
        np.testing.assert_allclose(observed[0, 0], normalised(np.array(by_hand))[:5, 5:], atol=1e-4)

    def test_leaves_no_hooks(self):
        (model,), images = networks(1), pictures(4)
        compare_layers([model], [(images,)], shuffles=0)
        assert not any(one._forward_hooks for one in model.modules())
