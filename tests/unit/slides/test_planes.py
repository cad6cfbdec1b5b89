from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from wsikd.errors import ConfigError, SlideError
from wsikd.geometry import Mpp, Region, Size
from wsikd.slides.planes import PlanesReader, find_channel, has_planes


@pytest.fixture
def planes():
    return np.random.default_rng(7).integers(0, 256, (3, 80, 120), np.uint8)


def test_repeats_one_channel_and_takes_three_as_they_are(write_planes, planes):
    path, corner = write_planes(planes), Region(30, 10, Size(20, 40))
    with PlanesReader(path, ["Pan-CK"]) as reader:
        assert reader.level_sizes == (Size(120, 80), Size(60, 40))
        one = reader.read(corner)
    with PlanesReader(path, [2, 0, "cd45"]) as reader:
        three = reader.read(corner)
    cut = planes[:, 10:50, 30:50]
    np.testing.assert_array_equal(one, np.stack([cut[1]] * 3, axis=2))
    np.testing.assert_array_equal(three, np.stack([cut[2], cut[0], cut[2]], axis=2))


def test_reads_the_other_levels_up_to_their_border(write_planes, planes):
    with PlanesReader(write_planes(planes), [0]) as reader:
        half = reader.read(Region(60, 40, Size(30, 20)), level=1)
    means = planes[0].reshape(40, 2, 60, 2).mean(axis=(1, 3))[20:, 30:]
    assert np.abs(half[..., 0] - means).max() <= 0.5


def test_reads_only_the_planes_asked_for(write_planes, planes):
    path = write_planes(planes)
    with tifffile.TiffFile(path) as file:
        page = file.series[0].pages[0]
        first, length = page.dataoffsets[0], page.databytecounts[0]
    data = bytearray(path.read_bytes())
    data[first : first + length] = bytes(length)  # of Hoechst
    path.write_bytes(data)
    region = Region(0, 0, Size(4, 4))
    with PlanesReader(path, ["CD45"]) as reader:
        np.testing.assert_array_equal(reader.read(region)[..., 0], planes[2, :4, :4])
    with (
        PlanesReader(path, ["Hoechst"]) as reader,
        pytest.raises(SlideError, match="a plane of level 0 cannot be decoded"),
    ):
        reader.read(region)


@pytest.mark.parametrize(
    ("mpp", "unit", "expected"),
    [(0.5, "µm", Mpp(0.5, 0.5)), (500, "nm", Mpp(0.5, 0.5)), (None, "", None), (1, "pixel", None)],
)
def test_states_the_resolution_of_the_file(write_planes, planes, mpp, unit, expected):
    with PlanesReader(write_planes(planes, mpp=mpp, unit=unit), [0]) as reader:
        assert reader.stated_mpp == expected


def test_tells_planes_from_pictures_and_slides(write_planes, planes, tmp_path):
    assert has_planes(write_planes(planes))
    Image.fromarray(planes[0]).save(tmp_path / "grey.tif")
    Image.fromarray(np.moveaxis(planes, 0, 2)).save(tmp_path / "rgb.tif")
    Image.fromarray(planes[0]).save(tmp_path / "grey.png")
    (tmp_path / "broken.tif").write_bytes(b"II*\0" + bytes(4))
    for name in ("grey.tif", "rgb.tif", "grey.png", "broken.tif"):
        assert not has_planes(tmp_path / name), name


def test_lists_the_channels_where_none_is_meant():
    names = ["Hoechst", "Pan-CK", "CD3", "CD3"]
    message = "if.tif: has channels 0 Hoechst, 1 Pan-CK, 2 CD3, 3 CD3, not 'CD45'; choose with"
    with pytest.raises(ConfigError, match=message):
        find_channel("CD45", names, Path("if.tif"))
    with pytest.raises(ConfigError, match="not 'CD3'"):
        find_channel("CD3", names, Path("if.tif"))
    with pytest.raises(ConfigError, match="not '4'"):
        find_channel(4, names, Path("if.tif"))
    assert find_channel("3", names, Path("if.tif")) == 3


def test_refuses_more_than_8_bits(write_planes, planes):
    with pytest.raises(SlideError, match="must have 8 bits a channel, has uint16; export it with"):
        PlanesReader(write_planes(planes.astype(np.uint16)), [0])
