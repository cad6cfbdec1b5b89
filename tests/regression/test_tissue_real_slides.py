"""How many pieces of tissue the real slides hold, counted by eye on pictures of the outlines.

Where the program and the eye part, the eye's count stands beside the program's with the reason.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shapely import box, contains_xy, make_valid, unary_union
from shapely.geometry import shape

from wsikd.errors import NotBrightfieldError, NoTissueError
from wsikd.slides import open_slide, resolution_of
from wsikd.tissue import TissueSettings, find_tissue, search_tissue, to_geojson

# file: pieces found, pieces seen, µm per pixel where the file states none that can be believed
SLIDES = {
    "slides/CMU-1-Small-Region.jpeg.tiff": (1, 1, 0.499),
    "slides/CMU-1-Small-Region.svs": (1, 1, None),
    "slides/CMU-1-Small-Region.webp.tiff": (1, 1, 0.499),
    "slides/EAS4_HE_odd26x_div16.svs": (9, 10, None),  # two pieces touch at their tips
    "slides/EAS5_grey_2.5x.tif": (2, 3, None),  # the second lies within the first one's box
    "slides/TCGA-CR-7395-01A-01-TS1.svs": (1, 1, 0.25),
    "slides/arachnoid-cyst_HE_5x.tif": (3, 4, None),  # a hair-thin thread is left out
    "slides/breast-lobular-carcinoma_HE_2.5x.tif": (9, 9, None),  # 4 cores, 5 scraps of fat
    "slides/giardia_duodenum_HE_5x.tif": (6, 6, None),
    "slides/glycogenstorage_liver_HE_nomag.tif": (1, 1, 2.0),
    "slides/lung-scc_HE3_40x.svs": (3, 3, None),  # two more are below the smallest area
    "slides/metaplasia_stomach_HE_10x.tif": (1, 1, None),
    "bad/tissueloc_20181218042458.jpg": (2, 2, 8.0),
    "dicom/camelyon_multiframe_jpeg.dcm": (3, 4, None),  # nodes joined by fat; and a speck
}

# pieces on slides of atlas_organ; one on all others
SEVERAL = {"liver_BS13_HE": 2, "liver_BS20_HE": 2}


def find(path, mpp=None, **settings):
    with open_slide(path) as slide:
        resolution = resolution_of(slide, mpp=mpp).mpp
        return find_tissue(slide, resolution, TissueSettings(**settings)), slide.size, resolution


@pytest.mark.parametrize("name", SLIDES)
def test_finds_the_pieces_that_the_eye_sees(shared_data, name):
    found, _, mpp = SLIDES[name]
    regions, size, mpp = find(shared_data / name, mpp)
    assert len(regions) == found
    slide = box(0, 0, size.width, size.height)
    for region in regions:
        left, top = region.box.x, region.box.y
        right, bottom = left + region.box.size.width, top + region.box.size.height
        assert region.outline.is_valid
        assert region.outline.within(box(left, top, right, bottom))
        assert box(left, top, right, bottom).within(slide)
    areas = [
        feature["properties"]["measurements"]["Area µm²"]
        for feature in to_geojson(regions, mpp)["features"]
    ]
    assert min(areas) > 0.09e6


def test_finds_the_pieces_of_the_organ_atlas(shared_data):
    counts = {
        path.stem: len(find(path)[0]) for path in sorted(shared_data.glob("atlas_organ/*.tif"))
    }
    assert {name: count for name, count in counts.items() if count != 1} == SEVERAL


def test_arachnoid_membranes_are_one_piece_and_not_only_the_blood_on_them(shared_data):
    regions, _, mpp = find(shared_data / "slides/arachnoid-cyst_HE_5x.tif")
    areas = [region.outline.area * mpp.x * mpp.y / 1e6 for region in regions]
    # measured by hand on the picture: the cyst about 5.9 mm x 5.6 mm less its gaps; the blood 3 mm²
    assert max(areas) == pytest.approx(21, rel=0.15)


OUTLINES = Path(__file__).parent / "outlines"

# slide: least IoU with the outlines drawn by eye; gaps narrower than about 0.2 mm belong to a piece
DRAWN_BY_EYE = {
    "slides/EAS5_grey_2.5x.tif": 0.90,
    "slides/arachnoid-cyst_HE_5x.tif": 0.85,  # hair-thin loops were drawn as tissue, see evidence
    "slides/breast-lobular-carcinoma_HE_2.5x.tif": 0.90,
    "slides/giardia_duodenum_HE_5x.tif": 0.90,
    "slides/lung-scc_HE3_40x.svs": 0.90,
    "atlas_organ/stomach_BS5_HE.tif": 0.90,
}


@pytest.mark.parametrize("name", DRAWN_BY_EYE)
def test_outlines_are_those_drawn_by_eye(shared_data, name):
    path = shared_data / name
    features = json.loads((OUTLINES / f"{path.stem}.geojson").read_text())["features"]
    drawn = unary_union([make_valid(shape(feature["geometry"])) for feature in features])
    regions, _, _ = find(path)
    found = unary_union([make_valid(region.outline) for region in regions])
    iou = found.intersection(drawn).area / found.union(drawn).area
    assert iou >= DRAWN_BY_EYE[name]


def test_drawn_boxes_of_pure_colours_are_pen_unless_the_settings_say_no(shared_data):
    path = shared_data / "slides/boxes_synthetic.tiff"
    with pytest.raises(
        NoTissueError, match=r"mm² of green ink left out, set tissue\.drop_green_ink"
    ):
        find(path, 8.0)
    regions, _, _ = find(path, 8.0, drop_green_ink=False, drop_other_ink=False)
    assert len(regions) == 1


def test_the_reddest_tissue_is_no_pen(shared_data):
    with open_slide(shared_data / "bad/tissueloc_20181218042458.jpg") as slide:
        mpp = resolution_of(slide, mpp=8.0).mpp
        assert search_tissue(slide, mpp, TissueSettings()).warnings == ()


def test_three_pens_on_a_real_slide_are_said(shared_data):
    with open_slide(shared_data / "artefacts/diagnostic-slide-thumb-rgb.png") as slide:
        resolution = resolution_of(slide, mpp=20.0).mpp
        warnings = search_tissue(slide, resolution, TissueSettings()).warnings
    assert {"green ink", "red ink", "black ink"} <= {
        warning.partition(" of ")[2].partition(" left")[0] for warning in warnings
    }


@pytest.mark.parametrize(
    "name", ["artefacts/no-tissue-green-pen.png", "artefacts/no-tissue-line.png"]
)
def test_pen_and_coverslip_are_no_tissue(shared_data, name):
    with pytest.raises(NoTissueError):
        find(shared_data / name, mpp=1.0)


def test_the_pen_around_tissue_is_hardly_in_the_outlines(shared_data):
    # the stroke is 15 pixels wide, and no pen is as thin as 60 µm: not 4, but about 25 µm a pixel
    regions, _, _ = find(shared_data / "artefacts/pen_green.png", mpp=25.0)
    rows, columns = np.nonzero(Image.open(shared_data / "artefacts/pen_green_mask.png"))
    tissue = unary_union([region.outline for region in regions])
    assert contains_xy(tissue, columns + 0.5, rows + 0.5).mean() < 0.2


@pytest.mark.parametrize("method", ["wsikd", "tissueloc"])
def test_fluorescence_is_refused_by_name(shared_data, method):
    with pytest.raises(NotBrightfieldError, match=r"test3-DAPI-2-387\.ndpi: must be brightfield"):
        find(shared_data / "slides/test3-DAPI-2-387.ndpi", method=method)


def test_a_scrap_below_the_smallest_area_is_found_when_the_area_is_lowered(shared_data):
    path = shared_data / "slides/OS-1-detail.ome.tif"
    with pytest.raises(NoTissueError, match=r"lower tissue\.min_area_mm2, now 0\.1"):
        find(path)
    regions, size, _ = find(path, min_area_mm2=0.05)
    assert [region.box.size for region in regions] == [size]


# tissueloc 2.1.0 on its own test picture: boxes as x, y, width, height and the share of the mask
TISSUELOC = {
    0.80: ({(1191, 97, 707, 860), (0, 51, 861, 925)}, 0.4096),
    0.85: ({(1187, 91, 717, 878), (0, 46, 925, 933)}, 0.4321),
    0.88: ({(1184, 86, 732, 887), (0, 43, 931, 939)}, 0.4487),
}


@pytest.mark.parametrize("threshold", TISSUELOC)
def test_equals_tissueloc_on_its_own_picture(shared_data, threshold):
    boxes, share = TISSUELOC[threshold]
    path = shared_data / "bad/tissueloc_20181218042458.jpg"
    regions, _, _ = find(path, 1.0, method="tissueloc", tissueloc_threshold=threshold)
    found = {(region.box.x, region.box.y, *region.box.size) for region in regions}
    assert found == boxes
    area = sum(region.outline.area for region in regions)
    assert area / (1010 * 1916) == pytest.approx(share, abs=2e-4)
