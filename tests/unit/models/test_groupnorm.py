import pytest
import torch

from wsikd.models.groupnorm import GroupNorm


def test_normalises_each_group_to_its_own_mean_and_variance():
    image = torch.randn(2, 64, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    by_hand = torch.empty_like(image)
    for sample in range(2):
        for group in range(32):
            values = image[sample, 2 * group : 2 * group + 2]
            scale = (values.var(correction=0) + 1e-5).sqrt()
            by_hand[sample, 2 * group : 2 * group + 2] = (values - values.mean()) / scale
    torch.testing.assert_close(GroupNorm(64).double()(image), by_hand)


def test_gives_the_bias_for_a_single_value():
    norm = GroupNorm(32)
    torch.nn.init.constant_(norm.bias, 0.25)
    normalised = norm(torch.full((1, 32, 1, 1), 7.0))
    torch.testing.assert_close(normalised, torch.full((1, 32, 1, 1), 0.25), rtol=0, atol=1e-3)


def test_refuses_channels_that_do_not_divide_into_32_groups():
    with pytest.raises(ValueError, match="divisible"):
        GroupNorm(48)
