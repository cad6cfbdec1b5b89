import numpy as np
import pytest
from scipy import ndimage

from wsikd.errors import NoTissueError
from wsikd.geometry import Mpp
from wsikd.slides import ArrayReader
from wsikd.tissue import TissueSettings, search_tissue

MPP = Mpp(8.0, 8.0)
GLASS = 240
PENS = {
    "green": (60, 180, 150),
    "red": (225, 25, 50),
    "blue": (40, 70, 190),
    "black": (22, 18, 25),
}


def tissue(height, width, seed=0):
    """Draw pink tissue with darker cells."""
    cells = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 1)
    light = np.array([0.92, 0.62, 0.80]) - 0.2 * (cells / cells.std() > 0.7)[..., None]
    return (GLASS * light).astype(np.uint8)


def slide(height=500, width=700):
    """Draw a slide of 4 x 5.6 mm with a piece of 1.6 x 1.2 mm."""
    pixels = np.full((height, width, 3), GLASS, np.uint8)
    pixels[150:300, 200:400] = tissue(150, 200)
    return pixels


def search(pixels, **settings):
    reader = ArrayReader(pixels, level_downsamples=(1,))
    return search_tissue(reader, MPP, TissueSettings(**settings))


def boxes(found):
    return [(r.box.x, r.box.y, r.box.size.width, r.box.size.height) for r in found.regions]


@pytest.mark.parametrize("pen", PENS)
def test_a_stroke_of_pen_is_left_out_and_said(pen):
    plain, drawn = slide(), slide()
    drawn[40:80, 100:600] = PENS[pen]  # 0.32 mm wide, 4 mm long
    found = search(drawn)
    assert boxes(found) == boxes(search(plain))
    setting = "drop_green_ink" if pen == "green" else "drop_other_ink"
    (warning,) = found.warnings
    # 40 x 500 pixels of 8 µm are 1.28 mm²
    assert warning == f"1.3 mm² of {pen} ink left out, set tissue.{setting} to false to keep it"
    assert len(search(drawn, **{setting: False}).regions) == 2


@pytest.mark.parametrize("pen", PENS)
def test_pen_alone_is_no_tissue_and_the_message_names_the_setting(pen):
    drawn = np.full((500, 700, 3), GLASS, np.uint8)
    drawn[40:80, 100:600] = PENS[pen]
    with pytest.raises(NoTissueError, match=rf"{pen} ink left out, set tissue\.drop_\w+_ink to"):
        search(drawn)


@pytest.mark.parametrize(
    "share", [(0.80, 0.85, 0.87), (0.64, 0.72, 0.76), (0.51, 0.61, 0.66), (0.90, 0.92, 0.93)]
)
def test_haematoxylin_blue_is_tissue(share):
    pixels = np.full((500, 700, 3), GLASS, np.uint8)
    cells = np.random.default_rng(0).uniform(0.85, 1.1, (150, 200, 1))
    pixels[150:300, 200:400] = GLASS * (1 - cells * (1 - np.array(share)))
    found = search(pixels)
    assert len(found.regions) == 1
    assert found.warnings == ()


def test_brown_and_red_stains_with_cells_are_no_pen():
    pixels = np.full((500, 700, 3), GLASS, np.uint8)
    cells = np.random.default_rng(0).uniform(size=(150, 200, 1)) > 0.5
    for left, stain in ((100, (100, 60, 32)), (400, (215, 60, 70))):
        pixels[150:300, left : left + 200] = np.where(cells, stain, (225, 215, 225))
    found = search(pixels)
    assert len(found.regions) == 2
    assert found.warnings == ()


def test_red_as_vivid_as_blood_and_eosin_is_no_pen():
    pixels = np.full((500, 700, 3), GLASS, np.uint8)
    # the median of a real slide's reddest millimetres, which are smooth at 8 µm per pixel
    pixels[150:300, 200:400] = np.multiply(GLASS, (0.79, 0.25, 0.42))
    found = search(pixels)
    assert len(found.regions) == 1
    assert found.warnings == ()


def test_pen_across_tissue_leaves_the_tissue_on_both_sides():
    pixels = slide()
    pixels[:, 280:320] = PENS["green"]
    assert len(search(pixels).regions) == 2


def test_a_black_border_is_left_out_and_said():
    pixels = slide()
    pixels[:60], pixels[:, -70:] = 5, 5
    found = search(pixels)
    assert boxes(found) == boxes(search(slide()))
    # 60 x 700 + 440 x 70 pixels of 8 µm
    assert found.warnings == ("4.7 mm² of black border left out",)


def test_a_slanted_black_border_is_left_out_and_said():
    pixels = slide()
    rows, columns = np.mgrid[:500, :700]
    pixels[rows + columns < 200] = 5
    found = search(pixels)
    assert boxes(found) == boxes(search(slide()))
    assert "black" in found.warnings[0]


def test_the_shadow_along_an_edge_is_left_out_and_said():
    pixels = slide()
    pixels[-20:] = np.linspace(200, 120, 20)[:, None, None]
    found = search(pixels)
    assert boxes(found) == boxes(search(slide()))
    assert "shadow along the slide's edge left out, set tissue.drop_lines" in found.warnings[0]


@pytest.mark.parametrize("width", [4, 14, 26])
def test_the_edge_line_of_a_coverslip_does_not_make_the_box_the_whole_slide(width):
    pixels = slide()
    pixels[297 : 297 + width] = 150  # across the slide, and touching the tissue
    found = search(pixels)
    assert len(found.regions) == 1
    box = found.regions[0].box
    assert box.size.width < 250
    assert (found.warnings != ()) == (width > 7)  # thinner ones are hairs: 60 µm


def test_a_slanted_edge_line_is_left_out_too():
    pixels = slide()
    rows, columns = np.mgrid[:500, :700]
    pixels[abs(rows - 40 - columns * 0.1) < 8] = 150
    assert boxes(search(pixels)) == boxes(search(slide()))


def test_grey_tissue_is_no_line_however_long():
    pixels = np.full((500, 700, 3), GLASS, np.uint8)
    grey = np.random.default_rng(0).integers(120, 230, (60, 600, 1))
    pixels[200:260, 50:650] = grey
    assert len(search(pixels).regions) == 1
