"""Every real slide, good, odd and broken, in one batch: the rows of its status table."""

import pytest

from wsikd.cohort.manifest import manifest_from_folder
from wsikd.prepare import PrepareSettings, prepare_slides
from wsikd.store import RegionStore

DONE = {
    "CMU-1-Small-Region": (1, "10 5 2.5 1.25 0.625"),
    "EAS4_HE_odd26x_div16": (9, "1.25 0.625"),
    "EAS5_grey_2.5x": (2, "2.5 1.25 0.625"),
    "arachnoid-cyst_HE_5x": (3, "5 2.5 1.25 0.625"),
    "breast-lobular-carcinoma_HE_2.5x": (9, "2.5 1.25 0.625"),
    "giardia_duodenum_HE_5x": (6, "5 2.5 1.25 0.625"),
    "lung-scc_HE3_40x": (3, "10 5 2.5 1.25 0.625"),
    "metaplasia_stomach_HE_10x": (1, "10 5 2.5 1.25 0.625"),
}
FAILED = {
    "CMU-1-Small-Region.jpeg": "mpp of 0.00499 is implausible",
    "CMU-1-Small-Region.webp": "mpp of 0.00499 is implausible",
    "CMU-1-Small-Region_dicom_jpeg": "OpenSlide refuses it (Unsupported photometric",
    "CMU-1-Small-Region_truncated60pct": "the TIFF directory is missing or damaged",
    "OS-1-detail.ome": "no tissue was found; lower tissue.min_area_mm2, now 0.1",
    "TCGA-CR-7395-01A-01-TS1": "no µm per pixel known; state it with --mpp",
    "boxes_synthetic": "the 72 dpi of its resolution tag say how to print it",
    "boxes_synthetic_dicom": "no tissue was found",
    "broken_histolab": "begins with b'IJrEr1vV', which no reader knows",
    "camelyon_multiframe_jpeg": "28.969 µm per pixel is too coarse for every magnification",
    "glycogenstorage_liver_HE_nomag": "no µm per pixel known; state it with --mpp",
    "highdicom_sm_image": "no tissue was found",
    "test3-DAPI-2-387": "must be brightfield",
    "tissueloc_20181218042458": "no µm per pixel known; state it with --mpp",
    "unreadable_openslide-python": "damaged",
}


@pytest.fixture(scope="module")
def batch(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    (folder / "slides").mkdir()
    for kind in ("slides", "dicom", "bad"):
        for entry in (shared_data / kind).iterdir():
            (folder / "slides" / entry.name).symlink_to(entry)
    manifest = manifest_from_folder(folder / "slides")
    statuses = prepare_slides(manifest, folder / "regions", PrepareSettings(workers=2))
    return folder / "regions", {status.slide_id: status for status in statuses}


def test_every_slide_has_a_row(batch):
    assert set(batch[1]) == DONE.keys() | FAILED.keys()


@pytest.mark.parametrize("slide_id", DONE)
def test_good_slides_give_the_pieces_and_magnifications_they_hold(batch, slide_id):
    status = batch[1][slide_id]
    assert (status.error, status.regions, status.magnifications) == ("", *DONE[slide_id])
    assert len(RegionStore(batch[0]).read_slide(slide_id).regions) == DONE[slide_id][0]


@pytest.mark.parametrize("slide_id", FAILED)
def test_others_fail_in_one_line_that_names_file_and_reason(batch, slide_id):
    status = batch[1][slide_id]
    assert status.status == "failed"
    assert status.error.startswith(status.path)
    assert FAILED[slide_id] in status.error
    assert "\n" not in status.error


def test_a_slide_slightly_too_coarse_serves_its_own_resolution(batch):
    record = RegionStore(batch[0]).read_slide("metaplasia_stomach_HE_10x")
    level = record.regions[0].level(10.0)
    assert level.mpp == pytest.approx((1.0112, 1.0112), abs=1e-4)  # asked for 1.0
    assert (level.width, level.height) == (record.regions[0].width, record.regions[0].height)


def test_what_is_left_out_is_said(batch):
    warnings = batch[1]["giardia_duodenum_HE_5x"].warnings
    assert warnings == "10x left out, the slide's own 2.10414 µm per pixel is coarser"
