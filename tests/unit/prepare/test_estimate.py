import numpy as np
import pytest
from shapely import Point, box, unary_union

from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.prepare import SlideSettings, SlideTask, estimate_slide, prepare_slide
from wsikd.prepare.estimate import Sample, _choose_squares, _weigh
from wsikd.slides import ArrayReader, open_slide, resolution_of
from wsikd.store import RegionStore, read_record
from wsikd.store.sizes import stored_bytes
from wsikd.tissue import find_tissue


def tissue(*boxes):
    return [
        TissueRegion(index, Region(x, y, Size(width, height)), box(x, y, x + width, y + height))
        for index, (x, y, width, height) in enumerate(boxes)
    ]


def stored(folder, magnification):
    """Add up the files of a magnification's arrays, without their descriptions."""
    paths = {
        level.path
        for region in read_record(folder).regions
        for level in region.levels
        if level.magnification == magnification
    }
    files = [
        file for path in paths for file in folder.glob(f"*.zarr/{path}/**/*") if file.is_file()
    ]
    return sum(file.stat().st_size for file in files if file.name != "zarr.json")


def test_what_is_written_is_what_was_estimated(tmp_path, slide, settings):
    with open_slide(slide) as reader:
        mpp = resolution_of(reader).mpp
        regions = find_tissue(reader, mpp, settings.tissue)
        estimate = estimate_slide(reader, mpp, regions, settings, search_seconds=1.0)
    status = prepare_slide(SlideTask("s1", slide, None, None), tmp_path, settings)
    record = read_record(tmp_path / "s1")
    assert estimate.regions == status.regions == len(record.regions)
    boxes = sum(region.width * region.height for region in record.regions)
    assert estimate.region_pixels == boxes == pytest.approx(status.megapixels * 1e6, abs=500)
    assert [level.magnification for level in estimate.levels] == [2.5, 1.25]
    for index, level in enumerate(estimate.levels):
        pixels = sum(one.levels[index].width * one.levels[index].height for one in record.regions)
        assert level.pixels == pixels
        written = stored(tmp_path / "s1", level.magnification)
        assert level.bytes == pytest.approx(written, rel=0.05)
    everything = sum(file.stat().st_size for file in (tmp_path / "s1").rglob("*.png"))
    everything += sum(level.bytes for level in estimate.levels)
    assert estimate.bytes == pytest.approx(everything, rel=0.3)


def test_nothing_is_written(tmp_path, slide, settings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_slide(slide) as reader:
        estimate_slide(reader, Mpp(1, 1), tissue((0, 0, 200, 200)), settings, 0.0)
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_the_search_counts_twice_as_the_thumbnail_reads_the_slide_again(
    slide, settings
):
    with open_slide(slide) as reader:
        slow, quick = (
            estimate_slide(reader, Mpp(1, 1), tissue((0, 0, 200, 200)), settings, searched).seconds
            for searched in (1000.0, 0.0)
        )
    assert slow - quick == pytest.approx(2000, abs=20)


def test_magnifications_and_parts_that_are_left_out_are_told_with_the_reason():
    with ArrayReader(np.full((400, 500, 3), 200, np.uint8)) as reader:
        estimate = estimate_slide(
            reader, Mpp(2.5, 2.5), tissue((0, 0, 250, 400)), SlideSettings(), 0.0
        )
    assert estimate.left_out == (
        "10x, the slide's own 2.5 µm per pixel is coarser",
        "5x, the slide's own 2.5 µm per pixel is coarser",
        "50 % of the slide, in the box of no region",
    )
    assert [level.magnification for level in estimate.levels] == [2.5, 1.25, 0.625]


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_bytes_are_those_that_the_writer_leaves(tmp_path, slide, settings, ngff):
    settings = settings.model_copy(update={"ngff": ngff})
    prepare_slide(SlideTask("s1", slide, None, None), tmp_path, settings)
    pixels = RegionStore(tmp_path).read_pixels("s1", "region-000", 2.5)
    files = (tmp_path / "s1" / "region-000.ome.zarr" / "0").rglob("*")
    described = ("zarr.json", ".zarray", ".zattrs")
    written = sum(
        file.stat().st_size for file in files if file.is_file() and file.name not in described
    )
    assert stored_bytes(pixels, ngff) == written


def test_squares_begin_and_end_with_tiles_and_cover_no_pixel_twice():
    regions = tissue((100, 300, 9000, 5000), (10_000, 0, 50, 30))
    with ArrayReader(np.zeros((10, 10, 3), np.uint8)) as reader:
        reader.tile_size = Size(240, 512)
        squares = _choose_squares(reader, regions)
    assert len(squares) == 12
    edges = {100, 9100, 300, 5300, 10_000, 10_050, 0, 30}
    for region, area in squares:
        assert area == region.size.width * region.size.height  # the box is all tissue
        for at, tile in ((region.x, 240), (region.x + region.size.width, 240)):
            assert at in edges or at % tile == 0
        for at in (region.y, region.y + region.size.height):
            assert at in edges or at % 512 == 0
    shapes = [
        box(one.x, one.y, one.x + one.size.width, one.y + one.size.height) for one, _ in squares
    ]
    assert unary_union(shapes).area == pytest.approx(sum(shape.area for shape in shapes))


def test_samples_with_more_tissue_than_there_is_count_less():
    """Glass takes 1 byte a pixel, tissue 3: the truth is known, and the samples are off it."""
    disc = Point(500, 500).buffer(300)
    region = TissueRegion(0, Region(0, 0, Size(1000, 1000)), disc)
    samples = [
        Sample(1000, tissue, 0.0, {10.0: round(1000 + 2 * tissue)})
        for tissue in (1000, 1000, 900, 200, 0)
    ]
    weights = _weigh([region], samples)
    truth = 1000 * 1000 + 2 * disc.area
    weighed = sum(weight * one.bytes[10.0] for weight, one in zip(weights, samples, strict=True))
    assert weighed == pytest.approx(truth, rel=1e-6)
    plain = 1000 * 1000 * sum(one.bytes[10.0] for one in samples) / 5000
    assert abs(plain - truth) > 0.4 * truth


def test_samples_that_are_alike_count_alike():
    region = tissue((0, 0, 100, 100))
    samples = [Sample(50, 50.0, 0.0, {}), Sample(50, 50.0, 0.0, {})]
    assert _weigh(region, samples) == pytest.approx([100, 100])
