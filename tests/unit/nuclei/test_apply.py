import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from shapely import box
from shapely.geometry import shape
from skimage.draw import disk

from tests.builders import slide_record
from wsikd.data.fields.inputs import FieldInput, list_inputs
from wsikd.data.fields.opening import ResolutionSettings
from wsikd.errors import BusyError, NothingUsableError, ResumeError, SomeSlidesFailedError
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.nuclei.apply import ApplySettings, apply_segmenter, refuse_failures
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.trained import Segmenter
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.runs import RunFolder
from wsikd.slides import ArrayReader
from wsikd.store import RegionStore, SlideWriter
from wsikd.store.labels import nearest, read_labels
from wsikd.tissue.geojson import to_geojson
from wsikd.workspace import Workspace

LEARNT = pd.DataFrame({"slide_id": [], "patient_id": []})
AS_DRAWN = ApplySettings(smooth=False)
MPP = Mpp(0.25, 0.25)


def darkness(*, mpp=None, inverted=False, **more):
    """Make a segmenter whose confidence is above a half where a pixel is darker than grey."""
    network = ConfidenceNetwork(1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.stem[0].weight[0, :, 1, 1] = 1 / 3
        network.stem[1].weight.fill_(1)
        network.head.weight[0, 0] = -40
        network.head.bias.fill_(20)
        if inverted:
            network.head.weight.neg_()
            network.head.bias.neg_()
    return Segmenter(
        run="dark",
        network=network,
        channel=0,
        inverted=inverted,
        threshold=0.5,
        mpp=mpp,
        labels="none",
        learnt=LEARNT,
        **more,
    )


def draw_nuclei(height, width, count=12, seed=0):
    """Draw dark disks on rose; give the picture and where they are."""
    drawn, mask = np.random.default_rng(seed), np.zeros((height, width), bool)
    for row, column, radius in drawn.uniform((0, 0, 9), (height, width, 16), (count, 3)):
        mask[disk((row, column), radius, shape=mask.shape)] = True
    return np.where(mask[..., None], (60, 30, 110), (240, 200, 220)).astype(np.uint8), mask


@pytest.fixture
def images(tmp_path):
    """Write three images in a folder."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate("abc"):
        Image.fromarray(draw_nuclei(90, 120, seed=number)[0]).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


def inputs_of(folder):
    return list_inputs([folder], Workspace(folder.parent / "nowhere"))


def read_features(run, slide_id):
    read = json.loads((run / "instances" / f"{slide_id}.geojson").read_text(encoding="utf-8"))
    return read["features"]


def read_table(run):
    return pd.read_csv(run / "segmented.csv", keep_default_na=False)


def hidden_files(folder):
    return {path.name for path in folder.rglob(".*")}


def written(folder):
    """Fingerprint all files."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("inverted", [False, True])
def test_writes_labels_nuclei_and_a_row_for_each_image(images, run, inverted):
    done = apply_segmenter(darkness(inverted=inverted), run, inputs_of(images), AS_DRAWN)
    assert [(one.slide_id, one.region_id, one.status) for one in done] == [
        (name, "image", "done") for name in "abc"
    ]
    for number, (name, row) in enumerate(zip("abc", read_table(run).itertuples(), strict=True)):
        labels = read_labels(run / "labels", name, "image")
        features = read_features(run, name)
        areas = [feature["properties"]["measurements"]["Area px²"] for feature in features]
        assert sum(areas) == labels.sum() == sum(shape(one["geometry"]).area for one in features)
        drawn = draw_nuclei(90, 120, seed=number)[1]
        assert (labels > drawn).sum() == 0
        assert labels.sum() > 0.95 * drawn.sum()  # all but parts smaller than a nucleus
        assert (row.unit, row.nuclei, row.mpp) == ("px", len(areas), "")
        assert row.nuclear_fraction == pytest.approx(labels.mean(), abs=1e-5)
        middle = 2 * np.sqrt(np.median(areas) / np.pi)
        assert row.median_diameter == pytest.approx(middle, abs=1e-3)
    assert hidden_files(run) == {".lock", ".segmented.csv.lock"}  # nothing half-written


def test_passes_over_what_is_finished(images, run):
    apply_segmenter(darkness(), run, inputs_of(images)[:2], AS_DRAWN)
    before, told = written(run), []
    done = apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN, told.append)
    assert [one.slide_id for one in done] == ["c"]
    assert told[:2] == ["a: was segmented", "b: was segmented"]
    after = written(run)
    assert {name for name in before if after[name] != before[name]} == {"segmented.csv"}
    assert read_table(run)["slide_id"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("lost", ["labels/a", "instances/a.geojson"])
def test_makes_again_what_was_removed(images, run, lost):
    apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)
    before = written(run)
    (run / lost).rename(run.parent / "lost")
    done = apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)
    assert [one.slide_id for one in done] == ["a"]
    after = written(run)
    assert {name for name in before if after[name] != before[name]} <= {"segmented.csv"}


def test_refuses_to_mix_settings_or_models(images, run):
    apply_segmenter(darkness(), run, inputs_of(images)[:1], AS_DRAWN)
    before = written(run)
    other = ApplySettings(smooth=False, min_area_um2=20)
    message = r"image\.ome\.zarr: was segmented with min_area_um2 10\.0, now asked for 20\.0; redo"
    with pytest.raises(ResumeError, match=message):
        apply_segmenter(darkness(), run, inputs_of(images), other)
    paler = darkness()
    with torch.no_grad():
        paler.network.head.bias.fill_(25)
    with pytest.raises(ResumeError, match="the model changed since it was segmented; redo it with"):
        apply_segmenter(paler, run, inputs_of(images), AS_DRAWN)
    assert written(run) == before
    again = other.model_copy(update={"overwrite": True})
    assert len(apply_segmenter(darkness(), run, inputs_of(images), again)) == 3
    assert apply_segmenter(darkness(), run, inputs_of(images), other) == []


def test_an_image_that_changed_fails_by_name(images, run):
    apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)
    Image.fromarray(draw_nuclei(90, 120, seed=9)[0]).save(images / "b.png")
    (failed,) = apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)
    assert failed.slide_id == "b"
    assert failed.error.endswith(
        "the source changed since it was segmented; redo it with --overwrite"
    )
    assert read_table(run)["status"].tolist() == ["done"] * 3  # what was made stays, and is told
    with pytest.raises(ResumeError, match=r"segmented.csv: 1 refused; .*the source changed since"):
        refuse_failures([failed], run / "segmented.csv")


def test_a_region_that_is_no_more_is_refused_and_goes_with_overwrite(images, run):
    apply_segmenter(darkness(), run, inputs_of(images)[:1], AS_DRAWN)
    labels = run / "labels" / "a"
    shutil.copytree(labels / "image.ome.zarr", labels / "region-007.ome.zarr")
    (failed,) = apply_segmenter(darkness(), run, inputs_of(images)[:1], AS_DRAWN)
    assert "region-007.ome.zarr: is of a region that the slide was cut into before" in failed.error
    again = AS_DRAWN.model_copy(update={"overwrite": True})
    apply_segmenter(darkness(), run, inputs_of(images)[:1], again)
    assert [path.name for path in labels.iterdir()] == ["image.ome.zarr"]


def test_doubts_what_cannot_be_nuclei(images, run):
    said = []
    everything = ApplySettings(threshold=0.0, smooth=False)
    (done,) = apply_segmenter(darkness(), run, inputs_of(images)[:1], everything, said.append)
    assert done.warning == said[-2].removeprefix("warning: a/image: ")
    assert done.warning.startswith("100% of the tissue is called nucleus; look at the outlines, ")


def test_one_bad_image_does_not_keep_the_others_from_being_done(images, run):
    good = (images / "b.png").read_bytes()
    (images / "b.png").write_bytes(b"no picture")
    done = apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)
    assert [one.status for one in done] == ["done", "failed", "done"]
    assert "b.png" in done[1].error
    assert read_table(run)["status"].tolist() == ["done", "failed", "done"]
    with pytest.raises(SomeSlidesFailedError, match="1 of 3 failed, the first is b; see its colu"):
        refuse_failures(done, run / "segmented.csv")
    with pytest.raises(NothingUsableError, match="all 1 failed; "):
        refuse_failures(done[1:2], run / "segmented.csv")
    (images / "b.png").write_bytes(good)
    refuse_failures(apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN), run)
    assert read_table(run)["status"].tolist() == ["done"] * 3


@pytest.mark.parametrize(
    ("model", "stated", "warning"),
    [
        (None, None, None),
        (0.25, 0.25, None),
        (0.25, None, "no µm per pixel; its nuclei are taken to be of the size the model learnt at"),
        (None, 0.25, "0.25 µm per pixel, and what the model learnt from had none; see that"),
        (0.5, 0.25, "learnt at 0.5; segment at that with --segment.mpp 0.5"),
    ],
)
def test_warns_where_nuclei_are_of_another_size_to_the_model(images, run, model, stated, warning):
    asked = ApplySettings(mpp=stated, segment=ResolutionSettings(mpp=stated), smooth=False)
    told = []
    apply_segmenter(darkness(mpp=model), run, inputs_of(images)[:1], asked, told.append)
    warnings = [line for line in told if line.startswith("warning: a/image: ")]
    assert len(warnings) == (warning is not None)
    assert warning is None or warning in warnings[0]


def test_balances_colours_for_a_model_that_learnt_from_balanced_ones(images, run):
    pixels, drawn = draw_nuclei(90, 120, seed=0)
    dim = (pixels * 0.5).astype(np.uint8)  # all of it darker than grey, until its light is white
    Image.fromarray(dim).save(images / "a.png")
    apply_segmenter(darkness(balanced=True), run, inputs_of(images)[:1], AS_DRAWN)
    labels = read_labels(run / "labels", "a", "image")
    assert (labels > drawn).sum() == 0
    assert labels.sum() > 0.95 * drawn.sum()


class TestStore:
    """A slide of two regions, each with tissue in its left part, prepared at 40x and 10x."""

    OUTLINES = (box(40, 20, 190, 220), box(40, 260, 190, 460))
    BOXES = (Region(40, 20, Size(320, 200)), Region(40, 260, Size(320, 200)))

    @pytest.fixture(autouse=True)
    def _few_crops(self, monkeypatch):
        """Let a quarter of 16 crops decide on the threshold, not of 64."""
        monkeypatch.setattr("wsikd.nuclei.adapt._DRAWN", 16)
        monkeypatch.setattr("wsikd.nuclei.adapt._TAKEN", 4)

    @pytest.fixture
    def workspace(self, tmp_path):
        place = Workspace(tmp_path / "cohort")
        self.pixels, self.mask = draw_nuclei(480, 400, count=60)
        writer = SlideWriter(place.store, "s1")
        tissue = [
            TissueRegion(number, *each)
            for number, each in enumerate(zip(self.BOXES, self.OUTLINES, strict=True))
        ]
        asked, records = PyramidSettings(magnifications=(40, 10)), []
        with ArrayReader(self.pixels) as slide:
            for piece in tissue:
                levels = plan_levels(piece.box.size, MPP, asked)
                rows = build_pyramid(slide, piece.box, levels)
                records.append(writer.write_region(piece, MPP, levels, rows))
        record = slide_record(
            "s1", tuple(records), (400, 480), MPP, mpp_source="file", objective_power=40
        )
        writer.commit(record, to_geojson(tissue, MPP), self.pixels)
        return place

    def inputs(self, workspace):
        return [FieldInput("s1", "p1", None, store=RegionStore(workspace.store))]

    def test_lies_on_the_slide_and_leaves_the_store_alone(self, workspace, run):
        before = written(workspace.store)
        apply_segmenter(darkness(mpp=0.25), run, self.inputs(workspace), AS_DRAWN)
        assert written(workspace.store) == before
        nuclei = [shape(feature["geometry"]) for feature in read_features(run, "s1")]
        tissue = self.OUTLINES[0].union(self.OUTLINES[1])
        assert all(tissue.contains(nucleus.centroid) for nucleus in nuclei)
        for region, place in zip(("region-000", "region-001"), self.BOXES, strict=True):
            fine = read_labels(run / "labels", "s1", region, 40.0)
            coarse = read_labels(run / "labels", "s1", region, 10.0)
            np.testing.assert_array_equal(coarse, nearest(fine, Size(80, 50)))
            rows, columns = slice(place.y, place.y + 200), slice(place.x, place.x + 320)
            drawn = self.mask[rows, columns]
            assert (fine > drawn).sum() == 0
            assert (fine[:, :130] == drawn[:, :130]).mean() > 0.98
            assert fine[:, 190:].sum() == 0  # 150 columns are tissue, nuclei have up to 32
        table = read_table(run)
        assert table["unit"].tolist() == ["µm", "µm"]
        labels = read_labels(run / "labels", "s1", "region-000")
        share = labels.sum() / (150 * 200)
        assert table["nuclear_fraction"][0] == pytest.approx(share, abs=1e-5)

    def test_goes_on_after_an_interruption_between_regions(self, workspace, run, tmp_path):
        def interrupt(line):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            apply_segmenter(darkness(mpp=0.25), run, self.inputs(workspace), AS_DRAWN, interrupt)
        assert not (run / "instances" / "s1.geojson").exists()
        done = apply_segmenter(darkness(mpp=0.25), run, self.inputs(workspace), AS_DRAWN)
        assert [one.region_id for one in done] == ["region-001"]
        whole = tmp_path / "whole"
        apply_segmenter(darkness(mpp=0.25), whole, self.inputs(workspace), AS_DRAWN)
        assert read_features(run, "s1") == read_features(whole, "s1")
        assert hidden_files(run) == {".lock", ".segmented.csv.lock"}


def test_what_another_process_segments_with_is_left_to_it(images, run):
    with RunFolder(run).alone(), pytest.raises(BusyError, match="is writing to it"):
        apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)
    assert not (run / "segmented.csv").exists()
    assert len(apply_segmenter(darkness(), run, inputs_of(images), AS_DRAWN)) == 3
