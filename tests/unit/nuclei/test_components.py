import numpy as np
import pytest
from scipy import ndimage

from wsikd.nuclei.components import find_components


def blobs(height, width, seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), 1.5)
    return noise > np.median(noise)


def cut(mask, rows):
    return [mask[top : top + rows] for top in range(0, len(mask), rows)]


def number(mask, rows):
    """Return each component its number; one pixel in two components fails."""
    labels, count = np.zeros(mask.shape, int), 0
    for components, _ in find_components(cut(mask, rows)):
        for each in components:
            count += 1
            height, width = each.mask.shape
            place = labels[each.top : each.top + height, each.left : each.left + width]
            assert not place[each.mask].any()
            place[each.mask] = count
    return labels


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (700, 1), (600, 60), (257, 300)])
@pytest.mark.parametrize("rows", [1, 100, 1000])
def test_finds_what_scipy_finds_in_the_whole_mask(shape, rows):
    mask = blobs(*shape)
    expected, count = ndimage.label(mask)
    found = number(mask, rows)
    assert found.max(initial=0) == count
    pairs = set(zip(expected.ravel().tolist(), found.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(expected))  # each number of one stands for one of the other


def test_joins_branches_that_meet_rows_later():
    comb = np.zeros((900, 9), bool)
    comb[:, 0::2] = True
    comb[-1] = True
    (settled,) = {settled for components, settled in find_components([comb]) if not components}
    assert settled == 0  # nothing above the comb's end is known before
    assert number(comb, 100).max() == 1


def test_gives_out_a_component_as_soon_as_no_row_can_touch_it():
    mask = np.zeros((1024, 8), bool)
    mask[10:300, 2:4] = True
    mask[500:512, 2:4] = True  # ends with the rows taken at once: the next may touch it
    given = [(len(components), settled) for components, settled in find_components([mask])]
    assert given == [(0, 10), (1, 500), (1, 768), (0, 1024), (0, 1024)]


def test_leaves_out_what_cannot_be_large_enough():
    mask = np.zeros((40, 40), bool)
    mask[0:3, 0:3] = mask[10:20, 10:20] = True
    ((only,), _), *_ = find_components([mask], min_area_px=10)
    assert (only.left, only.top, only.mask.shape) == (10, 10, (10, 10))


def test_cuts_what_is_higher_than_any_nucleus():
    heights = [
        each.mask.shape[0]
        for components, _ in find_components(cut(np.ones((9000, 3), bool), 700))
        for each in components
    ]
    assert heights == [4096, 4096, 808]


def test_takes_a_field_without_nuclei():
    assert list(find_components([np.zeros((300, 5), bool)])) == [
        ([], 256),
        ([], 300),
        ([], 300),
    ]
