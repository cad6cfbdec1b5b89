import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from wsikd.errors import ConfigError
from wsikd.losses.reconstruction import RECONSTRUCTION_LOSSES, reconstruction_loss, ssim


def by_skimage(first, second):
    return structural_similarity(
        first,
        second,
        channel_axis=0,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


@pytest.mark.parametrize("size", [(11, 11), (12, 30), (40, 33)])
def test_similarity_is_that_of_skimage(size):
    drawn = np.random.default_rng(0)
    first = drawn.random((4, 3, *size))
    # alike, unlike, its negative, and equal
    second = np.stack(
        [
            (first[0] + drawn.random((3, *size))) / 2,
            drawn.random((3, *size)),
            1 - first[2],
            first[3],
        ]
    )
    expected = [by_skimage(*images) for images in zip(first, second, strict=True)]
    assert ssim(torch.tensor(first), torch.tensor(second)).numpy() == pytest.approx(expected)
    single = ssim(torch.tensor(first).float(), torch.tensor(second).float())
    assert single.numpy() == pytest.approx(expected, abs=1e-5)


def test_similarity_gives_the_right_gradient():
    first, second = torch.rand(2, 1, 1, 12, 11, dtype=torch.double)
    assert torch.autograd.gradcheck(ssim, (first.requires_grad_(), second.requires_grad_()))


def test_losses_are_those_of_numpy_and_skimage():
    first, second = np.random.default_rng(0).random((2, 3, 3, 14, 15))
    mean = np.mean([by_skimage(*images) for images in zip(first, second, strict=True)])
    predicted, target = torch.tensor(first), torch.tensor(second)
    assert reconstruction_loss(predicted, target, "ssim").item() == pytest.approx(1 - mean)
    squares = ((first - second) ** 2).mean()
    assert reconstruction_loss(predicted, target, "mse").item() == pytest.approx(squares)


@pytest.mark.parametrize("kind", RECONSTRUCTION_LOSSES)
class TestBothKinds:
    def test_are_zero_for_the_image_itself(self, kind):
        image = torch.rand(2, 3, 16, 16)
        assert reconstruction_loss(image, image, kind).item() == pytest.approx(0, abs=1e-6)

    def test_teach_the_prediction_and_not_the_target(self, kind):
        predicted = torch.rand(2, 3, 16, 16, requires_grad=True)
        target = torch.rand(2, 3, 16, 16, requires_grad=True)
        reconstruction_loss(predicted, target, kind).backward()
        assert predicted.grad.abs().sum() > 0
        assert target.grad is None

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_are_finite_for_flat_images(self, kind, value):
        predicted = torch.full((1, 3, 16, 16), value, requires_grad=True)
        loss = reconstruction_loss(predicted, torch.zeros(1, 3, 16, 16), kind)
        loss.backward()
        assert loss.isfinite()
        assert predicted.grad.isfinite().all()

    def test_refuse_images_of_two_sizes(self, kind):
        says = r"must have the shape of its target \(3, 16, 12\), got \(3, 16, 16\); pair images of"
        with pytest.raises(ConfigError, match=says):
            reconstruction_loss(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 12), kind)


def test_similarity_refuses_images_below_its_window():
    with pytest.raises(ConfigError, match="at least 11 x 11 pixels, got 10 x 40"):
        ssim(torch.rand(1, 3, 40, 10), torch.rand(1, 3, 40, 10))
