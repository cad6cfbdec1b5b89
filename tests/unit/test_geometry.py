import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsikd.geometry import (
    Mpp,
    Size,
    format_magnification,
    magnification_to_mpp,
    mpp_to_magnification,
    scaled_size,
)


@pytest.mark.parametrize(
    ("side", "mpp", "target", "scaled"),
    [
        (1001, 0.25, 1.0, 250),  # 250.25
        (1002, 0.25, 1.0, 251),  # 250.5, half up
        (1006, 0.25, 1.0, 252),  # 251.5, half up and not to even
        (5, 0.25, 16.0, 1),  # 0.08, never none
        (17883, 0.263, 8.0, 588),  # 587.90
    ],
)
def test_sides_are_rounded_half_up_and_at_least_one(side, mpp, target, scaled):
    assert scaled_size(Size(side, 3), Mpp(mpp, 100), target).width == scaled
    assert scaled_size(Size(3, side), Mpp(100, mpp), target).height == scaled


@given(st.integers(1, 200_000), st.floats(0.1, 8), st.floats(0.1, 16))
def test_a_scaled_side_is_within_half_a_pixel_of_its_extent(side, mpp, target):
    width = scaled_size(Size(side, 1), Mpp(mpp, mpp), target).width
    exact = side * mpp / target
    assert width == 1 or abs(width - exact) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("magnification", "mpp"), [(40, 0.25), (20, 0.5), (10, 1), (1.25, 8), (0.625, 16)]
)
def test_ten_times_is_one_micrometre_per_pixel(magnification, mpp):
    assert magnification_to_mpp(magnification) == mpp
    assert mpp_to_magnification(mpp) == magnification


@pytest.mark.parametrize(
    ("value", "text"), [(10.0, "10x"), (1.25, "1.25x"), (0.625, "0.625x"), (40, "40x")]
)
def test_magnifications_are_written_without_idle_zeros(value, text):
    assert format_magnification(value) == text
