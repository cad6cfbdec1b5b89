import numpy as np
import pytest

from wsikd.errors import ConfigError, MissingResolutionError
from wsikd.geometry import Mpp
from wsikd.slides import ArrayReader, resolution_of


def slide(mpp=None, objective_power=None):
    return ArrayReader(np.zeros((8, 8, 3), np.uint8), mpp=mpp, objective_power=objective_power)


def test_what_the_user_gives_wins_over_the_file():
    resolution = resolution_of(slide(mpp=0.25), mpp=0.26)
    assert (resolution.mpp, resolution.source) == (Mpp(0.26, 0.26), "given")


def test_the_files_mpp_wins_over_any_objective():
    resolution = resolution_of(slide(mpp=0.25, objective_power=40), objective_power=38)
    assert (resolution.mpp, resolution.source) == (Mpp(0.25, 0.25), "file")


def test_ten_over_the_objective_is_the_fallback():
    resolution = resolution_of(slide(objective_power=20))
    assert (resolution.mpp, resolution.source) == (Mpp(0.5, 0.5), "objective")
    assert resolution.warnings == ()


def test_a_given_objective_wins_over_the_files():
    assert resolution_of(slide(objective_power=20), objective_power=40).mpp == Mpp(0.25, 0.25)


def test_each_axis_keeps_its_own_resolution():
    assert resolution_of(slide(mpp=Mpp(0.25, 0.27))).mpp == Mpp(0.25, 0.27)


@pytest.mark.parametrize(
    ("mpp", "objective_power"),
    [
        (6.4736, 1.625),  # 10 / 1.625 = 6.154: 5 % apart
        (0.287, 40),  # 14.8 %
        (0.218, 40),  # 14.7 % the other way
    ],
)
def test_up_to_fifteen_percent_is_no_contradiction(mpp, objective_power):
    assert resolution_of(slide(mpp=mpp, objective_power=objective_power)).warnings == ()


@pytest.mark.parametrize(("mpp", "apart"), [(0.29, "16%"), (0.5, "100%"), (0.2, "25%")])
def test_file_and_objective_contradicting_is_a_warning(mpp, apart):
    (warning,) = resolution_of(slide(mpp=mpp, objective_power=40)).warnings
    assert warning == (
        f"the file's mpp of {mpp:g} and an objective of 40x (mpp 0.25) are {apart} apart"
    )


def test_given_and_file_contradicting_is_a_warning():
    (warning,) = resolution_of(slide(mpp=0.25), mpp=0.5).warnings
    assert warning == "the given mpp of 0.5 and the file's mpp of 0.25 are 100% apart"


def test_the_worse_axis_counts():
    (warning,) = resolution_of(slide(mpp=Mpp(0.25, 0.5)), mpp=0.25).warnings
    assert warning == "the given mpp of 0.25 and the file's mpp of 0.25 x 0.5 are 100% apart"


@pytest.mark.parametrize("mpp", [0.00499, 352.778])
def test_an_implausible_mpp_counts_as_unknown_and_is_said(mpp):
    resolution = resolution_of(slide(mpp=mpp, objective_power=20))
    assert (resolution.mpp, resolution.source) == (Mpp(0.5, 0.5), "objective")
    assert resolution.warnings == (
        f"the file's mpp of {mpp:g} is implausible (outside 0.05 to 100 µm per pixel) and ignored",
    )


@pytest.mark.parametrize("mpp", [0.05, 100.0])
def test_the_bounds_of_what_is_plausible_belong_to_it(mpp):
    assert resolution_of(slide(mpp=mpp)).mpp == Mpp(mpp, mpp)


def test_nothing_known_is_an_error_that_names_the_remedies():
    with pytest.raises(MissingResolutionError) as caught:
        resolution_of(slide())
    assert str(caught.value) == (
        "array: no µm per pixel known; state it with --mpp or in the manifest's column mpp"
    )


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"mpp": 0.00499}, "the file's mpp of 0.00499 is implausible"),
        ({"objective_power": 0}, "an objective of 0x (mpp 0) is implausible"),
        ({"objective_power": 2000}, "an objective of 2000x (mpp 0.005) is implausible"),
    ],
)
def test_only_something_implausible_known_is_an_error_that_says_what(stated, reason):
    with pytest.raises(MissingResolutionError) as caught:
        resolution_of(slide(**stated))
    assert f"known; {reason} (outside" in str(caught.value)
    assert str(caught.value).endswith("state it with --mpp or in the manifest's column mpp")


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"mpp": 352.0}, "the given mpp of 352"),
        ({"objective_power": 0.0}, "an objective of 0x"),
        ({"mpp": float("nan")}, "the given mpp of nan"),
    ],
)
def test_giving_something_implausible_is_refused(given, subject):
    with pytest.raises(ConfigError, match=f"array: {subject}.* must mean 0.05 to 100 µm per pixel"):
        resolution_of(slide(mpp=0.25), **given)
