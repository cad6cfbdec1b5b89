import itertools

import pytest
import torch

from wsikd.data.augment.regions import AugmentSettings, augment
from wsikd.data.augment.views import CountedViews, draw_view

PICTURE = torch.arange(12.0).reshape(1, 3, 4).expand(3, 3, 4) / 12  # no orientation is another
STILL = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}


def views_of(settings, count, name="s1/region-000"):
    return [augment(PICTURE, draw_view(settings, name, view)) for view in range(count)]


@pytest.mark.parametrize(
    ("flips", "turns", "count"),
    [(True, True, 8), (True, False, 4), (False, True, 4), (False, False, 1)],
)
def test_as_many_views_as_there_are_orientations_show_each_once(flips, turns, count):
    settings = AugmentSettings(**STILL, flips=flips, quarter_turns=turns)
    seen = views_of(settings, count)
    for one, other in itertools.combinations(seen, 2):
        assert one.shape != other.shape or not torch.equal(one, other)
    again = views_of(settings, 2 * count)[count:]
    assert all(torch.equal(one, other) for one, other in zip(seen, again, strict=True))


def test_views_of_one_orientation_differ_in_colour():
    settings = AugmentSettings(flips=False, quarter_turns=False)
    first, second = views_of(settings, 2)
    assert not torch.equal(first, second)


def test_a_view_depends_on_the_region_and_not_on_its_place():
    settings = AugmentSettings()
    one = CountedViews(settings, 8, ["a/region-000", "b/region-000"])
    other = CountedViews(settings, 8, ["b/region-000"])
    shown = {one.view(epoch, 1): one.draw(epoch, 1) for epoch in range(1, 9)}
    assert shown == {other.view(epoch, 0): other.draw(epoch, 0) for epoch in range(1, 9)}
    assert shown != {one.view(epoch, 0): one.draw(epoch, 0) for epoch in range(1, 9)}


def test_as_many_epochs_as_there_are_views_show_each_once():
    views = CountedViews(AugmentSettings(), 5, ["a"] * 7)
    for index in range(7):
        assert sorted(views.view(epoch, index) for epoch in range(4, 9)) == list(range(5))
