import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from wsikd.data.augment import batch as batching
from wsikd.data.augment.batch import augment_batch, see_images
from wsikd.data.augment.regions import AugmentationDraw, AugmentSettings, augment, draw_augmentation
from wsikd.data.statistics import standardise
from wsikd.geometry import Size

MEAN, STD = (0.8, 0.6, 0.7), (0.1, 0.2, 0.3)


def random_images(sizes, seed=0):
    drawn = np.random.default_rng(seed)
    return [
        torch.from_numpy(drawn.integers(0, 256, (3, height, width), np.uint8))
        for width, height in sizes
    ]


def drawn_for(count, **changes):
    return [draw_augmentation(AugmentSettings(**changes), 0, 1, index) for index in range(count)]


operations = st.permutations(["brightness", "contrast", "saturation", "hue"]).flatmap(
    lambda names: st.tuples(
        *(
            st.tuples(st.just(name), st.floats(-0.5, 0.5) if name == "hue" else st.floats(0, 2))
            for name in names
        )
    )
)
draws = st.none() | st.builds(
    lambda colour, kept, *oriented: AugmentationDraw(colour[:kept], *oriented),
    operations,
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
)
sides = st.integers(1, 9)


@settings(deadline=None)  # no timed tests
@given(
    items=st.lists(st.tuples(st.tuples(sides, sides), draws), min_size=1, max_size=7),
    seed=st.integers(0, 9),
)
def test_makes_of_each_image_what_is_made_of_it_alone(items, seed):
    images = [image.double() / 255 for image in random_images([size for size, _ in items], seed)]
    drawn = [draw for _, draw in items]
    together = augment_batch(images, drawn)
    for place, (image, draw) in enumerate(zip(images, drawn, strict=True)):
        alone = image if draw is None else augment(image, draw)
        size = together.each_size()[place]
        assert size == Size(alone.shape[2], alone.shape[1])
        found = together.pixels[place, :, : size.height, : size.width]
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_rounds_single_precision_as_finely_as_an_image_alone(seed):
    sizes = [(40, 30), (17, 60), (64, 64), (1, 1), (5, 33), (33, 5)]
    images, drawn = random_images(sizes, seed), drawn_for(len(sizes))
    together = augment_batch(images, drawn)
    for place, size in enumerate(together.each_size()):
        found = together.pixels[place, :, : size.height, : size.width]
        alone = augment(images[place] / 255, drawn[place])
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-6)


class Counter(TorchDispatchMode):
    """Counts the operations that are asked of torch: on a GPU, launches."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **kwargs or {})


def operations_for(count):
    images = random_images([(8 + index, 20 - index) for index in range(count)])
    drawn = 4 * drawn_for(4)
    with Counter() as counter:
        varied = augment_batch(images, drawn[:count])
        batching.standardise_batch(varied, MEAN, STD, torch.contiguous_format)
    return counter.count


def test_takes_no_more_launches_for_more_images():
    few, many = operations_for(4), operations_for(16)
    flattened = 16 - 4  # a view each, which launches nothing
    assert many - flattened == few


@pytest.mark.parametrize("sizes", [[(7, 5), (3, 9), (1, 1)], [(6, 6), (6, 6)], [(4, 3)]])
def test_images_made_ready_are_those_of_each_alone_and_zero_beyond_it(sizes):
    images, drawn = random_images(sizes), [*drawn_for(len(sizes) - 1), None]
    made = see_images(images, drawn, MEAN, STD, torch.channels_last)
    batched = batching.standardise_batch(
        augment_batch(images, drawn), MEAN, STD, torch.channels_last
    )
    assert made.sizes == batched.sizes
    assert (made.sizes is None) == (len(set(made.each_size())) == 1)
    for place, size in enumerate(made.each_size()):
        inside = torch.zeros_like(made.pixels[place, 0], dtype=torch.bool)
        inside[: size.height, : size.width] = True
        values = images[place].float().div(255)
        alone = standardise(
            values if drawn[place] is None else augment(values, drawn[place]), MEAN, STD
        )
        assert torch.equal(made.pixels[place][:, inside].reshape(alone.shape), alone)
        found = batched.pixels[place][:, inside].reshape(alone.shape)
        torch.testing.assert_close(found, alone, rtol=0, atol=2e-5)  # 1e-6 of 0 to 1, by 0.1
        for ready in (made, batched):
            assert not ready.pixels[place][:, ~inside].any()
    for ready in (made, batched):
        assert ready.pixels.is_contiguous(memory_format=torch.channels_last)


def test_leaves_the_images_as_they_were():
    images = random_images([(7, 5), (3, 9)])
    floats = [image / 255 for image in images]
    before = [image.clone() for image in (*images, *floats)]
    augment_batch(images, drawn_for(2))
    augment_batch(floats, drawn_for(2))
    assert all(map(torch.equal, (*images, *floats), before))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_what_a_cpu_makes():
    images, drawn = random_images([(70, 50), (31, 90), (1, 1)]), drawn_for(3)
    near = see_images(images, drawn, MEAN, STD, torch.contiguous_format)
    there = [image.to("cuda") for image in images]
    far = see_images(there, drawn, MEAN, STD, torch.contiguous_format)
    assert far.sizes == near.sizes
    torch.testing.assert_close(far.pixels.cpu(), near.pixels, rtol=0, atol=2e-5)
