import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage.draw import disk
from sklearn.metrics import f1_score

from wsikd.config import load_document
from wsikd.data.likeness import pixel_digest
from wsikd.errors import LeakageError, NothingUsableError
from wsikd.geometry import Mpp
from wsikd.hashing import content_fingerprint
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.objects import ObjectSettings
from wsikd.nuclei.score.controls import best_global_threshold
from wsikd.nuclei.score.documents import SegmentMetrics
from wsikd.nuclei.score.evaluate import (
    OTSU,
    THRESHOLD,
    EvaluateSegmentersSettings,
    evaluate_segmenters,
    examine,
)
from wsikd.nuclei.score.metrics import NUCLEI_METRICS
from wsikd.nuclei.score.seeds import segmenter_differences, segmenter_summary
from wsikd.nuclei.score.sets import open_nuclei_set
from wsikd.nuclei.trained import Segmenter

SETTINGS = EvaluateSegmentersSettings(draws=200)
PLAIN = ObjectSettings(adapt=False, smooth=False, split=False, min_area_um2=0.0)
MIDDLE = 160.25  # between nuclei and the rest, and no mean of three bytes


@pytest.fixture
def folder(tmp_path):
    """A set of six images from three patients, one of them in the training part."""
    lines = ["name,image,mask,patient_id,challenge_part,mpp"]
    for number in range(6):
        pixels, numbers = drawn(number)
        Image.fromarray(pixels).save(tmp_path / f"i{number}.png")
        Image.fromarray(numbers).save(tmp_path / f"m{number}.png")
        part = "train" if number < 2 else "test"
        lines.append(f"i{number},i{number}.png,m{number}.png,p{number // 2},{part},0.25")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def drawn(seed):
    """Blue discs on pink, with noise that makes some pixels of each look like the other."""
    random = np.random.default_rng(seed)
    numbers = np.zeros((64, 80), np.uint16)
    for number, (y, x) in enumerate([(14, 14), (14, 50), (46, 30), (44, 64)], start=1):
        numbers[disk((y, x), random.integers(8, 12))] = number
    colours = np.where(numbers[..., None] > 0, [100, 80, 150], [230, 180, 210])
    noise = random.normal(0, 18, (64, 80, 1))
    return np.clip(colours + noise, 0, 255).astype(np.uint8), numbers


def darkness(grey, *, inverted=False, **about):
    """A network whose residual blocks do nothing, confident where the grey value is below one."""
    network = ConfidenceNetwork(2).eval()
    with torch.no_grad():
        for block in network.blocks:
            block.second[1].weight.zero_()
        convolution = network.stem[0].weight.zero_()
        convolution[0, :, 1, 1] = -1
        total = 3 * (0.05 + 0.95 * grey / 255) / math.sqrt(1 + network.stem[1].eps)
        network.head.weight.zero_()[1, 0] = -80 if inverted else 80
        network.head.bias[1] = -network.head.weight[1, 0, 0, 0] * (math.exp(-total) - 1)
    learnt = pd.DataFrame({"slide_id": ["i0", "i1"], "patient_id": ["p0", "p0"]})
    known = {"run": "segment", "labels": "none", "learnt": learnt, "threshold": 0.5, "mpp": 0.25}
    return Segmenter(network=network, channel=1, inverted=inverted, **{**known, **about})


def evaluate(folder, *segmenters, objects=PLAIN, settings=SETTINGS):
    images = open_nuclei_set(folder)
    return evaluate_segmenters(segmenters, images, folder / "runs", objects, settings)


def values(result):
    return {
        one.name: {name: one.metrics[name].known for name in NUCLEI_METRICS}
        for one in result.segmenters
    }


@pytest.mark.parametrize("inverted", [False, True])
def test_a_network_that_is_a_threshold_scores_as_that_threshold(folder, inverted):
    found = values(evaluate(folder, darkness(MIDDLE, inverted=inverted)))
    dice = []
    for number in range(2, 6):
        pixels, numbers = drawn(number)
        dice.append(f1_score(numbers.ravel() > 0, pixels.mean(2).ravel() < MIDDLE))
    assert found["segment"]["dice"] == pytest.approx(np.mean(dice))


def test_the_threshold_of_the_control_is_the_best_of_the_training_images(folder):
    found = values(evaluate(folder, darkness(MIDDLE)))
    trained = [(pixels, numbers > 0) for pixels, numbers in map(drawn, range(2))]
    best = best_global_threshold(trained)
    assert found[THRESHOLD] == values(evaluate(folder, darkness(best + 0.1)))["segment"]


def test_masks_of_all_become_nuclei_in_the_same_way(folder):
    result = evaluate(folder, darkness(MIDDLE), objects=ObjectSettings(adapt=False))
    found = values(result)
    for name in ("segment", THRESHOLD, OTSU):
        assert found[name]["f1"] == 1.0, found  # four discs in every image, and no speck
    plain = values(evaluate(folder, darkness(MIDDLE)))  # every speck is a nucleus
    assert all(plain[name]["precision"] < found[name]["precision"] for name in plain)


def test_seeds_are_scored_together_and_held_against_both_controls(folder):
    seeds = [darkness(grey, run=f"segment-seed{grey:.0f}") for grey in (130.25, 150.25)]
    result = evaluate(folder, *seeds)
    one = result.segmenters[0]
    assert (one.name, one.runs) == ("segment", ("segment-seed130", "segment-seed150"))
    apart = [values(evaluate(folder, seed))["segment"]["dice"] for seed in seeds]
    assert one.metrics["dice"].value == pytest.approx(np.mean(apart))
    assert one.metrics["dice"].highest == pytest.approx(max(apart))
    pairs = [(each.segmenter, each.reference) for each in result.differences]
    assert pairs == [("segment", THRESHOLD), ("segment", OTSU)]
    assert len(segmenter_summary(result.segmenters)) == 3
    assert len(segmenter_differences(result.differences)) == 2


def test_numbers_are_written_with_a_row_for_each_run_and_image(folder):
    result = evaluate(folder, darkness(MIDDLE))
    path = folder / "runs" / "segment-metrics.json"
    assert load_document(path, SegmentMetrics, NothingUsableError) == result
    rows = pd.read_csv(folder / "runs" / "segment-metrics.csv")
    assert rows.groupby("run").size().to_dict() == {"segment": 4, THRESHOLD: 4, OTSU: 4}
    assert set(rows["true_nuclei"]) == {4}
    labels = dict(zip(rows["run"], rows["labels"], strict=True))
    assert labels == {"segment": "none", THRESHOLD: "threshold", OTSU: "none"}


def test_the_file_of_numbers_has_these_keys_in_this_order(folder):
    seeds = [darkness(grey, run=f"segment-seed{grey:.0f}") for grey in (130.25, 150.25)]
    evaluate(folder, *seeds)
    written = json.loads((folder / "runs" / "segment-metrics.json").read_text())
    top = ["format", "version", "settings", "segmenters", "differences", "notes"]
    assert list(written) == top
    assert (written["format"], written["version"]) == ("wsikd-segment-metrics", 1)
    settings = ["draws", "bootstrap_seed", "split_seed", "device", "objects"]
    assert list(written["settings"]) == settings
    counts = ["images", "patients", "metrics", "reason"]
    segmenter, difference = written["segmenters"][0], written["differences"][0]
    assert list(segmenter) == ["name", "control", "labels", "runs", *counts]
    assert list(difference) == ["segmenter", "reference", *counts]
    assert list(segmenter["metrics"]) == list(difference["metrics"]) == list(NUCLEI_METRICS)
    ends = ["value", "low", "high", "note"]
    assert list(segmenter["metrics"]["aji"]) == [*ends, "lowest", "highest", "deviation"]
    assert list(difference["metrics"]["aji"]) == ends


def test_says_what_labels_chose(folder):
    result = evaluate(folder, darkness(MIDDLE, labels="epoch and channel"))
    assert result.segmenters[0].labels == "epoch and channel"
    assert "threshold from the labels of 2 training images" in result.notes[0]


def test_warns_of_another_resolution(folder):
    assert len(evaluate(folder, darkness(MIDDLE, mpp=0.3)).notes) == 1
    notes = evaluate(folder, darkness(MIDDLE, mpp=0.5)).notes
    assert notes[1] == "segment was trained at 0.5 µm per pixel, and there are test images at 0.25"


def test_refuses_networks_that_have_seen_a_test_image_under_another_name(folder):
    images = {image.name: image for image in open_nuclei_set(folder)}
    learnt = pd.DataFrame({"slide_id": ["copy"], "patient_id": ["copy"]})
    copied = learnt.assign(content=[content_fingerprint(images["i3"].image)])
    with pytest.raises(LeakageError, match="segment: was trained on image 'i3', which is for test"):
        evaluate(folder, darkness(MIDDLE, learnt=copied))
    evaluate(folder, darkness(MIDDLE, learnt=learnt.assign(content=[""])))


def test_refuses_networks_that_have_seen_the_pixels_of_a_test_image_in_another_file(folder):
    images = {image.name: image for image in open_nuclei_set(folder)}
    learnt = pd.DataFrame({"slide_id": ["copy"], "patient_id": ["copy"], "content": ["other"]})
    saved_again = learnt.assign(pixels=[pixel_digest(images["i3"].read_pixels())])
    with pytest.raises(LeakageError, match="segment: was trained on image 'i3', which is for test"):
        evaluate(folder, darkness(MIDDLE, learnt=saved_again))
    evaluate(folder, darkness(MIDDLE, learnt=learnt.assign(pixels=[""])))


def test_refuses_networks_that_have_seen_a_test_image_or_its_patient(folder):
    learnt = pd.DataFrame({"slide_id": ["i3"], "patient_id": ["i3"]})
    with pytest.raises(LeakageError, match="segment: was trained on image 'i3', which is for test"):
        evaluate(folder, darkness(MIDDLE, learnt=learnt))
    learnt = pd.DataFrame({"slide_id": ["other"], "patient_id": ["p2"]})
    with pytest.raises(LeakageError, match="trained on another image of p2 than 'i4', which is"):
        evaluate(folder, darkness(MIDDLE, learnt=learnt))


def test_a_set_without_a_training_part_has_no_threshold_and_one_without_a_test_part_nothing(folder):
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("train", "test"))
    result = evaluate(
        folder, darkness(MIDDLE, learnt=pd.DataFrame(columns=["slide_id", "patient_id"]))
    )
    assert [one.name for one in result.segmenters] == ["segment", OTSU]
    assert result.notes[0].startswith("control-threshold was not made: the set has no training")
    table.write_text(table.read_text().replace("test", "train"))
    with pytest.raises(NothingUsableError, match="holds no test image; name a folder that does"):
        evaluate(folder, darkness(MIDDLE))


def test_an_image_is_examined_with_what_a_picture_needs(folder):
    image = open_nuclei_set(folder)[3]
    examined = examine(darkness(MIDDLE), image, PLAIN)
    pixels, numbers = drawn(3)
    np.testing.assert_array_equal(examined.pixels, pixels)
    np.testing.assert_array_equal(examined.truth, numbers)
    np.testing.assert_array_equal(examined.mask, pixels.mean(2) < MIDDLE)
    np.testing.assert_array_equal(examined.confidence > 0.5, examined.mask)
    assert (examined.name, examined.mpp) == ("i3", Mpp(0.25, 0.25))
