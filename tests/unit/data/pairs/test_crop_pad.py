import numpy as np


def test_pads_the_centre_with_zeros(make_images, pair_up):
    folder = make_images(["1.png"], size=(224, 224))
    partner = pair_up("crop_pad", folder)
    image = partner.source.read(0)
    expected = np.pad(image[56:168, 56:168], ((56, 56), (56, 56), (0, 0)))  # 112 px, as published
    np.testing.assert_array_equal(partner.read(0), expected)


def test_keeps_the_share_asked_for_of_any_size(make_images, pair_up):
    found = pair_up("crop_pad", make_images(["1.png"], size=(9, 6)), given={"centre": 0.34}).read(0)
    kept = found.any(axis=2)  # 3 of 9 and 2 of 6 pixels; noise is not black
    assert (kept.any(axis=0).nonzero()[0].tolist(), kept.any(axis=1).nonzero()[0].tolist()) == (
        [3, 4, 5],
        [2, 3],
    )
