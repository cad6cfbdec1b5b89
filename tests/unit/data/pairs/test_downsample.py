import numpy as np
import pytest
from PIL import Image

from wsikd.errors import ConfigError


@pytest.mark.parametrize("kernel", ["bilinear", "box", "lanczos"])
def test_is_what_pillow_makes_of_it(make_images, pair_up, kernel):
    folder = make_images(["1.png"], size=(56, 48))
    given = {"downsample_to": 7, "kernel": kernel}
    found = pair_up("downsample", folder, given=given).read(0)
    how = Image.Resampling[kernel.upper()]
    with Image.open(folder / "1.png") as image:
        expected = np.asarray(image.resize((7, 7), how).resize((56, 48), how))
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_refuses_to_enlarge(make_images, pair_up):
    folder = make_images(["1.png"], size=(12, 8))
    with pytest.raises(ConfigError, match="--downsample-to must be below the patches' 8 px, got 8"):
        pair_up("downsample", folder, given={"downsample_to": 8})
