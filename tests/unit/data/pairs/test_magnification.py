import numpy as np
import pytest
from PIL import Image

from wsikd.errors import ConfigError, StoreError
from wsikd.store import RegionStore


def test_cuts_the_same_field_of_view_from_the_stored_level(make_workspace, pair_up):
    workspace = make_workspace()
    partner = pair_up("magnification", workspace, given={"partner_mag": 5})
    assert (partner.size, partner.magnification) == ((16, 16), 5.0)
    index = [item.region_id for item in partner.source.items].index("region-000/x64-y32")
    stored = RegionStore(workspace.store).read_pixels("s1", "region-000", 5.0)
    np.testing.assert_array_equal(partner.read(index), stored[16:32, 32:48])


def test_may_show_more_detail(make_workspace, pair_up):
    partner = pair_up("magnification", make_workspace(), given={"partner_mag": 20})
    slide = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    np.testing.assert_array_equal(partner.read(0), slide[20:84, 40:104])


def test_shows_the_field_of_view_of_a_level_with_a_resolution_of_its_own(make_workspace, pair_up):
    # 0.55 µm serves 20x as it is: 32 pixels are 17.6 µm, which 5x has in 8.8 pixels of 2 µm
    workspace = make_workspace(mpp=0.55)
    partner = pair_up("magnification", workspace, given={"partner_mag": 5}, mag=20)
    stored = RegionStore(workspace.store).read_pixels("s1", "region-000", 5.0)
    nine = Image.fromarray(stored[:9, :9]).resize((8, 8), Image.Resampling.BILINEAR)
    assert np.abs(partner.read(0) - np.asarray(nine).astype(int)).max() <= 2


@pytest.mark.parametrize(
    ("mag", "error", "message"),
    [
        (None, ConfigError, "--partner-mag is required by --pairing magnification"),
        (2.5, StoreError, r"region-000: 2\.5x was not prepared, only 20x, 10x, 5x"),
        (0.1, ConfigError, "--partner-mag 0.1: a patch has no pixel at it; raise --patch"),
    ],
)
def test_refuses_a_magnification_that_cannot_be(make_workspace, pair_up, mag, error, message):
    with pytest.raises(error, match=message):
        pair_up("magnification", make_workspace(), given={"partner_mag": mag})


def test_refuses_a_folder_of_images(make_images, pair_up):
    with pytest.raises(ConfigError, match="--pairing magnification takes regions; leave --images"):
        pair_up("magnification", make_images(["1.png"]), given={"partner_mag": 5})
