import numpy as np
import pytest
from shapely import Point, box

from wsikd.errors import NoTissueError, SlideError
from wsikd.geometry import Mpp, Region, Size
from wsikd.slides import ArrayReader
from wsikd.tissue import TissueSettings, find_tissue

PINK = (215, 150, 190)
MPP = Mpp(2.0, 2.0)


def draw_discs(*discs, height=1003, width=1501):
    pixels = np.full((height, width, 3), 240, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for x, y, radius in discs:
        pixels[np.hypot(columns - x, rows - y) < radius] = PINK
    return pixels


def find(pixels, slide_mpp=MPP, **settings):
    return find_tissue(ArrayReader(pixels), slide_mpp, TissueSettings(**settings))


def test_places_pieces_in_the_level_0_frame_from_top_to_bottom():
    discs = (1000, 700, 200), (400, 300, 150)
    found = find(draw_discs(*discs))
    assert [region.index for region in found] == [0, 1]
    for region, (x, y, radius) in zip(found, reversed(discs), strict=True):
        true = Point(x, y).buffer(radius)
        # within one pixel of the overview, 8 µm, which are 4 pixels; and one more, as the level
        # that is read has 376 columns, the last of which holds a quarter of a pixel alone
        assert region.outline.within(true.buffer(5))
        assert true.buffer(-5).within(region.outline)


def test_pads_boxes_by_a_length_and_stops_at_the_slide_edge():
    (region,) = find(draw_discs((240, 500, 200)), padding_um=100)
    # 100 µm are 50 pixels; an overview pixel of 8 µm is 4
    left, top = region.box.x, region.box.y
    right, bottom = left + region.box.size.width, top + region.box.size.height
    assert (left, top, right, bottom) == pytest.approx((0, 250, 490, 750), abs=6)
    assert left == 0


def test_finds_one_piece_where_tissue_fills_the_slide():
    (region,) = find(np.full((600, 700, 3), PINK, np.uint8))
    assert region.box == Region(0, 0, Size(700, 600))
    assert region.outline.area == pytest.approx(600 * 700, rel=0.001)


def test_transparent_pixels_are_glass():
    pixels = np.zeros((1003, 1501, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = draw_discs((400, 300, 150)), 255
    pixels[:, 900:] = 0  # not scanned
    (region,) = find(pixels)
    assert region.box.x + region.box.size.width < 700


def test_resolution_of_the_slide_does_not_matter():
    pixels = draw_discs((400, 300, 150))
    (fine,) = find(pixels.repeat(2, axis=1), Mpp(1.0, 2.0))
    (coarse,) = find(pixels)
    assert fine.box.y == coarse.box.y
    assert fine.box.x == pytest.approx(2 * coarse.box.x, abs=2)


@pytest.mark.parametrize("max_side_um", [150.0, 333.0, 5000.0])
def test_cuts_large_pieces_into_equal_parts(max_side_um):
    pixels = draw_discs((700, 500, 300))
    (whole,) = find(pixels)
    parts = find(pixels, max_side_um=max_side_um)
    widths = {part.box.size.width for part in parts}
    assert max(widths) <= np.ceil(max_side_um / MPP.x)
    assert max(widths) - min(widths) <= 1
    assert sum(part.outline.area for part in parts) == pytest.approx(whole.outline.area, rel=0.01)
    for part in parts:
        x, y, size = part.box.x, part.box.y, part.box.size
        assert part.outline.difference(box(x, y, x + size.width, y + size.height)).is_empty


def test_parts_of_the_corners_without_tissue_are_dropped():
    parts = find(draw_discs((700, 500, 300)), max_side_um=200)
    sides = {(part.box.x, part.box.y) for part in parts}
    # 700 px of 2 µm are 8 rows and columns of cells; a disc misses the corners of its square
    assert 36 < len(sides) == len(parts) < 64


def test_an_empty_slide_names_the_settings_that_may_be_too_strict():
    text = (
        r"^array: no tissue was found; lower tissue\.min_area_mm2, now 0\.1, or tissue\.min_stain"
    )
    with pytest.raises(NoTissueError, match=text):
        find(draw_discs())


def test_the_published_method_names_its_own_setting():
    with pytest.raises(NoTissueError, match=r"raise tissue\.tissueloc_threshold, now 0\.8$"):
        find(draw_discs(), method="tissueloc")


def test_the_published_method_refuses_a_level_too_large_for_memory():
    slide = ArrayReader(np.full((6000, 6000, 3), 240, np.uint8), level_downsamples=(1,))
    with pytest.raises(SlideError, match=r"has 6000x6000 pixels; use --tissue\.method wsikd"):
        find_tissue(slide, MPP, TissueSettings(method="tissueloc"))


def test_the_published_method_scales_by_the_true_size_of_the_level():
    # 4003 reduced by 4 is 1001: tissueloc would multiply by int(3.999) = 3
    pixels = draw_discs((2000, 2000, 800), height=4003, width=4003)
    (region,) = find_tissue(ArrayReader(pixels), MPP, TissueSettings(method="tissueloc"))
    assert region.outline.centroid.coords[0] == pytest.approx((2000, 2000), abs=4)


def test_only_tissue_counts_where_fill_surrounds_darker_glass():
    pixels = np.full((1000, 1500, 4), 255, np.uint8)
    pixels[200:800, 200:1000, :3] = 217
    pixels[350:550, 400:800, :3] = (200, 150, 180)
    areas = []
    for change in ("white", "transparent", "black"):
        filled = pixels.copy()
        outside = np.ones((1000, 1500), bool)
        outside[200:800, 200:1000] = False
        filled[outside] = {"white": 255, "transparent": (255, 0, 0, 0), "black": (0, 0, 0, 255)}[
            change
        ]
        (region,) = find(filled)
        areas.append(region.outline.area * 4 / 1e6)
    # 400 x 200 pixels of 2 µm are 0.32 mm²
    assert areas == pytest.approx([0.32] * 3, rel=0.03)


def faint(height=1500, width=1500):
    """Draw fat on a slide of 2 µm pixels: thin, pale walls around empty cells of 80 µm."""
    pixels = np.full((height, width, 3), 242.0)
    rows, columns = np.mgrid[:height, :width]
    wall = (np.minimum(rows % 40, columns % 40) < 8) & (abs(rows - 750) < 300)
    wall &= abs(columns - 750) < 400
    pixels[wall] *= np.array([0.86, 0.84, 0.86])
    pixels += np.random.default_rng(0).normal(0, 1.5, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def test_pale_fat_is_the_same_piece_at_every_resolution_of_the_search():
    areas = []
    for mpp in (8.0, 4.0, 2.0):
        (region,) = find(faint(), mpp=mpp)
        areas.append(region.outline.area)
    # 800 x 600 pixels but for the outermost walls
    assert areas == pytest.approx([800 * 600] * 3, rel=0.06)


@pytest.mark.parametrize("shade", [0.97, 0.94, 0.90])
def test_the_flat_shade_of_a_coverslip_is_no_tissue_at_any_resolution(shade):
    pixels = np.full((1000, 1500, 3), 242.0)
    pixels[200:, 300:] *= shade
    pixels += np.random.default_rng(0).normal(0, 1.5, pixels.shape)
    for mpp in (8.0, 4.0, 2.0):
        with pytest.raises(NoTissueError):
            find(pixels.clip(0, 255).astype(np.uint8), mpp=mpp)


def test_whole_takes_each_picture_as_it_is():
    dark = np.full((30, 50, 3), 5, np.uint8)  # 0.006 mm², darker than any glass
    (region,) = find(dark, method="whole")
    assert region.box == Region(0, 0, Size(50, 30))
    assert region.outline.equals(box(0, 0, 50, 30))


def test_whole_is_cut_where_a_longest_side_is_asked_for():
    regions = find(np.full((100, 300, 3), 5, np.uint8), method="whole", max_side_um=200)
    assert [region.box.x for region in regions] == [0, 100, 200]
    assert [region.index for region in regions] == [0, 1, 2]
