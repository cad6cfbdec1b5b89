"""Probing encoders on small folders of images, beside controls, and what it refuses."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from shapely import box
from sklearn.neighbors import KNeighborsClassifier

from tests.builders import slide_record
from wsikd.cli import main
from wsikd.cohort.manifest import read_manifest
from wsikd.config import Settings
from wsikd.data.pairs import PAIRS, Pairing, open_views
from wsikd.data.patches import PatchSettings, open_patches
from wsikd.errors import (
    BusyError,
    CheckpointError,
    ConfigError,
    LeakageError,
    ManifestError,
    NothingUsableError,
    ResumeError,
)
from wsikd.evaluation.seeds import SeedSettings
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.methods.pair import pair
from wsikd.methods.pair_settings import PairSettings
from wsikd.methods.teach import TeachSettings, teach
from wsikd.models import build_model
from wsikd.models.weights import ModelDescription, load_model, save_model
from wsikd.probing.probe import probe
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import PREDICTION_COLUMNS, Provenance, RunFolder, run_name
from wsikd.store import RegionStore, SlideWriter
from wsikd.tissue import to_geojson
from wsikd.workspace import Workspace

COLOURS = {"dark": 60, "light": 160}
MEAN, STD = (0.5, 0.4, 0.5), (0.2, 0.2, 0.2)
PER_CLASS, SIDE = 12, 16


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Keep images this small from waiting for threads to meet."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Return a folder of images of two brightnesses, and tables of three folds and without any."""
    folder = tmp_path_factory.mktemp("cohort")
    rows = []
    for label, level in COLOURS.items():
        for number in range(PER_CLASS):
            path = folder / "images" / label / f"{label}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            random = np.random.default_rng((number, level))
            pixels = random.normal(level, 25, (SIDE, SIDE, 3)).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
            row = {"path": f"images/{label}/{path.name}", "label": label}
            rows.append(row | {"patient_id": f"p{number % 6}", "fold": str(number % 3)})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "folds.csv", index=False)
    split = ["test" if row["fold"] == "0" else "train" for row in rows]
    table.drop(columns="fold").assign(split=split).to_csv(folder / "split.csv", index=False)
    return folder


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path)


def own(cohort, table="folds.csv"):
    return {"images": cohort / "images", "table": cohort / table, "mag": 10.0}


def write_pair_run(place, cohort, *, fold=None, seed=0, table="folds.csv", learnt=(), **options):
    """Write a finished paired training whose encoders have random weights."""
    told = {"pairing": "crop_pad", "epochs": 1, "batch": 4, "fold": fold, "seed": seed}
    settings = PairSettings(**told | own(cohort, table) | options)
    made = Provenance(
        name=run_name(settings.name or f"pair-{settings.pairing}", fold=fold, seed=seed),
        method="pair",
        magnification=10.0,
        fold=fold,
        seed=seed,
        classes=(),
    )
    run = RunFolder(place.runs / made.name).start(settings, made)
    run.write_learnt(pd.DataFrame({"slide_id": "", "patient_id": list(learnt)}, dtype=str))
    about = {"classes": (), "magnification": 10.0, "mpp": 1.0, "mean": MEAN, "std": STD}
    description = ModelDescription(architecture="resnet10w32", **about)
    for number, branch in enumerate(("primary", "privileged")):
        torch.manual_seed(10 * seed + number)
        encoder = build_model("resnet10w32", 0)
        save_model(encoder, description, run.model_path(branch=branch))
    run.finish(seconds=0.0)
    return run


def ask(place, *names, patches=None, **options):
    settings = ProbeSettings(**{"device": "cpu", "epochs": 5, "learning_rate": 0.05} | options)
    return probe(place, names, settings, patches, SeedSettings(draws=100))


def arm(result, name):
    (found,) = [one for one in result.arms if one.name == name]
    return found


def right(result, name):
    return arm(result, name).units["region"].metrics["plain_accuracy"]


def embed(run, cohort, names, branch="primary", *, change=lambda pixels: pixels):
    """Read images one by one with the encoder of a run."""
    encoder, _ = load_model(run.model_path(branch=branch))
    embeddings = []
    for name in names:
        path = cohort / "images" / name.split("-")[0] / f"{name}.png"
        pixels = change(np.asarray(Image.open(path)))
        image = torch.tensor(pixels / 255).permute(2, 0, 1) - torch.tensor(MEAN)[:, None, None]
        with torch.no_grad():
            embeddings.append(encoder((image / 0.2)[None].float()).embedding[0].numpy())
    return np.array(embeddings)


def centre(pixels):
    cut = np.zeros_like(pixels)
    quarter = SIDE // 4
    cut[quarter:-quarter, quarter:-quarter] = pixels[quarter:-quarter, quarter:-quarter]
    return cut


def test_folds_are_pooled_and_seeds_are_one_arm_beside_two_controls(place, cohort):
    for seed in (0, 1):
        write_pair_run(place, cohort, seed=seed)
    result = ask(place, "pair-*")
    names = [one.name for one in result.arms]
    assert names == [
        "probe-pair-crop_pad",
        "probe-control-colour-crop_pad-images-16px",
        "probe-control-majority-crop_pad-images-16px",
    ]
    encoder = arm(result, "probe-pair-crop_pad")
    assert encoder.runs == ("probe-pair-crop_pad", "probe-pair-crop_pad-seed1")
    assert encoder.units["region"].count == 2 * PER_CLASS
    assert encoder.units["region"].patients == 6
    assert right(result, "probe-control-colour-crop_pad-images-16px").value == 1.0
    assert right(result, "probe-control-majority-crop_pad-images-16px").value == 0.5
    assert json.loads((place.runs / "probe-metrics.json").read_text()) == result.model_dump(
        mode="json"
    )


def test_a_pattern_passes_over_runs_without_an_encoder(place, cohort):
    write_pair_run(place, cohort)
    made = Provenance(name="segment-40x", method="segment", classes=())
    RunFolder(place.runs / made.name).start(Settings(), made).finish(seconds=0.0)
    first = ask(place, "*")
    assert ask(place, "*") == first  # now beside the runs of the probe itself
    with pytest.raises(ConfigError, match="segment-40x: is a segment; name a run with an encoder"):
        ask(place, "segment-40x")


def test_the_model_is_a_classifier_that_gives_what_was_predicted(place, cohort):
    run = write_pair_run(place, cohort, table="split.csv")
    ask(place, "pair-crop_pad")
    probed = RunFolder(place.runs / "probe-pair-crop_pad")
    table = probed.read_predictions()
    assert list(table.columns) == [*PREDICTION_COLUMNS, "p_0", "p_1"]
    assert table["split"].unique().tolist() == ["test"]
    _, description = load_model(probed.model_path())
    assert description.classes == ("dark", "light")
    layer = load_file(probed.model_path())
    logits = embed(run, cohort, table["slide_id"], change=centre) @ layer["fc.weight"].numpy().T
    expected = torch.tensor(logits + layer["fc.bias"].numpy()).softmax(1).numpy()
    assert table[["p_0", "p_1"]].to_numpy() == pytest.approx(expected, abs=1e-4)


def test_a_routine_image_is_probed_even_if_a_function_makes_it(
    place, cohort, tmp_path, monkeypatch
):
    (tmp_path / "halves.py").write_text(
        "from wsikd.data.pairs.crop_pad import CropPadPartner\n\n"
        "def open_half(settings, source):\n"
        "    return CropPadPartner(settings, source)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PAIRS, "crop_pad", Pairing("halves:open_half", is_routine=True))
    run = write_pair_run(place, cohort, table="split.csv")
    ask(place, "pair-crop_pad")
    probed = RunFolder(place.runs / "probe-pair-crop_pad")
    table, layer = probed.read_predictions(), load_file(probed.model_path())
    logits = embed(run, cohort, table["slide_id"], change=centre) @ layer["fc.weight"].numpy().T
    expected = torch.tensor(logits + layer["fc.bias"].numpy()).softmax(1).numpy()
    assert table[["p_0", "p_1"]].to_numpy() == pytest.approx(expected, abs=1e-4)


def test_the_privileged_branch_sees_what_it_saw_in_training(place, cohort):
    run = write_pair_run(place, cohort, table="split.csv")
    result = ask(place, "pair-crop_pad", branch="privileged", classifier="knn", k=3)
    table = RunFolder(place.runs / "probe-pair-crop_pad-privileged-knn").read_predictions()
    images = pd.read_csv(cohort / "split.csv")
    train = images.loc[images["split"] == "train", "path"].map(
        lambda path: path[:-4].split("/")[-1]
    )
    oracle = KNeighborsClassifier(3, metric="cosine")
    oracle.fit(embed(run, cohort, train, "privileged"), [name.split("-")[0] for name in train])
    expected = oracle.predict_proba(embed(run, cohort, table["slide_id"], "privileged"))
    assert table[["p_0", "p_1"]].to_numpy() == pytest.approx(expected)
    assert "probe-control-colour-images-16px" in [one.name for one in result.arms]
    assert (place.runs / "probe-metrics-privileged-knn.csv").exists()


def test_what_is_done_is_not_redone(place, cohort):
    write_pair_run(place, cohort, table="split.csv")
    first = ask(place, "pair-crop_pad")
    before = {path: path.stat().st_mtime_ns for path in place.runs.glob("probe-*/*")}
    assert ask(place, "pair-crop_pad") == first
    assert {path: path.stat().st_mtime_ns for path in place.runs.glob("probe-*/*")} == before


def test_a_probe_that_another_process_is_at_is_left_to_it(place, cohort):
    write_pair_run(place, cohort, table="split.csv")
    first = ask(place, "pair-crop_pad")
    run = RunFolder(place.runs / "probe-pair-crop_pad")
    run.write_provenance(run.read_provenance().model_copy(update={"status": "running"}))
    with run.alone(), pytest.raises(BusyError, match="is writing to it; try"):
        ask(place, "pair-crop_pad")
    assert not run.is_complete()
    assert ask(place, "pair-crop_pad") == first


def test_another_encoder_under_the_same_name_is_refused(place, cohort):
    run = write_pair_run(place, cohort, table="split.csv")
    ask(place, "pair-crop_pad")
    shutil.copy(run.model_path(branch="privileged"), run.model_path())
    with pytest.raises(ResumeError, match="encoder changed since it was started"):
        ask(place, "pair-crop_pad")


def test_shares_are_runs_of_their_own_and_are_held_against_controls_of_the_same_share(
    place, cohort
):
    write_pair_run(place, cohort, table="split.csv")
    result = ask(place, "pair-crop_pad", fractions=(25, 100), controls=("random",))
    shares = {one.name: one.percent for one in result.arms}
    assert shares["probe-pair-crop_pad-25pct"] == 25
    assert shares["probe-control-random-resnet10w32-crop_pad-images-16px-25pct"] == 25
    for difference in result.differences:
        assert shares[difference.arm] == shares[difference.reference]


def test_a_supervised_control_is_trained_as_the_pairs_were(place, cohort):
    write_pair_run(place, cohort, table="split.csv", epochs=3, batch=8, learning_rate=2e-3, seed=1)
    ask(place, "pair-crop_pad-seed1", controls=("supervised",))
    name = "probe-control-supervised-resnet10w32-3epochs-crop_pad-images-16px-seed1"
    run = RunFolder(place.runs / name)
    settings = run.read_settings()
    assert (settings["batch"], settings["learning_rate"], settings["seed"]) == (8, 2e-3, 1)
    assert [entry["steps"] for entry in run.read_log()] == [2, 4, 6]
    assert run.read_log()[-1]["train"]["cross_entropy"] < run.read_log()[0]["train"]["loss"]
    model, description = load_model(run.model_path())
    assert description.classes == ("dark", "light")
    assert model.fc.out_features == 2


def test_a_supervised_control_that_fits_one_run_only_is_said(place, cohort):
    for name, learning_rate in (("pair-a", 1e-3), ("pair-b", 2e-3)):
        options = {"name": name, "learning_rate": learning_rate, "table": "split.csv"}
        write_pair_run(place, cohort, **options)
    (note,) = ask(place, "pair-*", controls=("supervised",)).notes
    name = "control-supervised-resnet10w32-1epochs-crop_pad-images-16px"
    assert note == f"{name} is trained as another run was, not as pair-b"


def test_controls_of_other_patches_of_the_same_name_are_not_shared(place, cohort):
    write_pair_run(place, cohort, name="pair-folds", epochs=1)
    write_pair_run(place, cohort, name="pair-split", table="split.csv")
    result = ask(place, "pair-folds", "pair-split")
    views = "crop_pad-images-16px"
    assert result.notes == tuple(
        f"control-{name}-{views} is asked about the patches of another run, not those of pair-split"
        for name in ("colour", "majority")
    )
    assert arm(result, f"probe-control-colour-{views}").units["region"].count == 2 * PER_CLASS
    assert arm(result, "probe-pair-split").units["region"].count == 2 * PER_CLASS / 3


def test_augmented_embeddings_are_computed_anew_in_every_epoch(place, cohort):
    write_pair_run(place, cohort, table="split.csv")
    options = {"epochs": 2, "fractions": (50,)}
    ask(place, "pair-crop_pad", **options)
    ask(place, "pair-crop_pad", **options, augmented=True)
    plain, varied = (
        load_file(place.runs / f"probe-pair-crop_pad{how}-50pct" / "model.safetensors")
        for how in ("", "-augmented")
    )
    assert torch.equal(plain["conv1.weight"], varied["conv1.weight"])
    assert not torch.equal(plain["fc.weight"], varied["fc.weight"])


def test_an_encoder_of_a_fold_is_probed_on_that_fold(place, cohort):
    for fold in range(3):
        write_pair_run(place, cohort, fold=fold)
    result = ask(place, "pair-crop_pad")
    probed = sorted(path.name for path in place.runs.glob("probe-pair-*"))
    assert probed == [f"probe-pair-crop_pad-fold{fold}" for fold in range(3)]
    assert arm(result, "probe-pair-crop_pad").units["region"].count == 2 * PER_CLASS


def test_on_other_patches_the_encoder_of_each_fold_is_a_run_of_the_arm(place, cohort):
    for fold in (0, 1):
        write_pair_run(place, cohort, fold=fold)
    other = PatchSettings(**own(cohort, "split.csv"))
    with pytest.raises(
        ConfigError, match=r"pair-crop_pad-fold0: learnt from other patches .*--name"
    ):
        ask(place, "pair-crop_pad", patches=other)
    result = ask(place, "pair-crop_pad", patches=other, name="other")
    runs = [f"probe-pair-crop_pad-fromfold{fold}-other" for fold in (0, 1)]
    assert arm(result, "probe-pair-crop_pad-other").runs == tuple(runs)
    assert (place.runs / "probe-metrics-other.csv").exists()


def test_tested_patients_that_were_learnt_from_without_labels_are_counted(place, cohort):
    write_pair_run(place, cohort, table="split.csv", learnt=["p0", "p1"])
    assert ask(place, "pair-crop_pad").notes == (
        "pair-crop_pad has learnt, without labels, from 1 of the 2 patients it is tested on",
    )


ONCE = {"epochs": 1, "device": "cpu"}
COPIED = ("dark/dark-0", "dark/dark-1", "light/light-1")  # the first of them is tested


def train_on_copies(place, cohort, tmp_path, names=COPIED, **options):
    """Train a pair on a folder of images that are saved anew under other names."""
    copies = tmp_path / "copies" / "all"
    copies.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.open(cohort / "images" / f"{name}.png").save(copies / f"copy-{number}.tif")
    told = {"pairing": "crop_pad", "epochs": 1, "batch": 2, "device": "cpu", "expander": (8,)}
    settings = PairSettings(images=copies.parent, mag=10.0, name="pair-copies", **told, **options)
    source = open_patches(settings, place)
    pair(source, open_views(settings, source), place.cache, place.runs, settings)


def test_tested_patches_may_be_seen_without_labels_only_if_that_was_asked_for(
    place, cohort, tmp_path
):
    patches = PatchSettings(**own(cohort, "split.csv"))
    train_on_copies(place, cohort, tmp_path)
    with pytest.raises(LeakageError) as refusal:
        ask(place, "pair-copies", patches=patches, name="mine")
    assert str(refusal.value) == (
        f"{place.runs / 'pair-copies'}: has seen the pixels of dark-0 under the name copy-0, which "
        "it would be tested on; train it on the training patches alone, or with --learn-from all "
        "if it is to see the tested ones, too"
    )
    shutil.rmtree(place.runs)
    shutil.rmtree(tmp_path / "copies")
    train_on_copies(place, cohort, tmp_path, learn_from="all")
    assert ask(place, "pair-copies", patches=patches, name="mine").notes == (
        "pair-copies-mine has learnt, without labels, from 1 of the 2 patients it is tested on",
        (
            "pair-copies-mine may have learnt from the patients it is tested on: nobody knows the "
            "patient of 3 images it has learnt from"
        ),
    )


def teach_from_copies(place):
    """Teach on slides of other patients, starting from the encoder that learnt from copies."""
    names = ["x0", "x1", "x2", "x3"]
    table = pd.DataFrame({"slide_id": names, "patient_id": names, "label": list("abab")})
    table = table.assign(path=[f"{name}.svs" for name in names], split=2 * ["train"] + 2 * ["test"])
    table.to_csv(place.manifest, index=False)
    for number, name in enumerate(names):
        _write_slide(place.store, name, number)
    settings = TeachSettings(name="between", init="pair-copies", unrelated=True, **ONCE)
    teach(RegionStore(place.store), read_manifest(place.manifest), place.runs, settings)


@pytest.mark.parametrize("learn_from", ["train", "all"])
def test_what_an_encoder_started_from_counts_as_seen_by_it(place, cohort, tmp_path, learn_from):
    patches = PatchSettings(**own(cohort, "split.csv"))
    train_on_copies(place, cohort, tmp_path, learn_from=learn_from)
    teach_from_copies(place)
    if learn_from == "all":
        told = ask(place, "between", patches=patches, name="mine").notes
        assert "without labels, from 1 of the 2 patients it is tested on" in told[0]
    else:
        said = "between: has seen the pixels of dark-0 under the name copy-0 through pair-copies,"
        with pytest.raises(LeakageError, match=said):
            ask(place, "between", patches=patches, name="mine")


def test_an_encoder_that_learnt_from_unknown_patients_is_told_of(place, cohort, tmp_path):
    patches = PatchSettings(**own(cohort, "split.csv"))
    train_on_copies(place, cohort, tmp_path, names=("light/light-1", "light/light-2"))
    assert ask(place, "pair-copies", patches=patches, name="mine").notes == (
        (
            "pair-copies-mine may have learnt from the patients it is tested on: nobody knows the "
            "patient of 2 images it has learnt from"
        ),
    )
    metrics = json.loads((place.runs / "probe-metrics-mine.json").read_text())
    assert "nobody knows the patient of 2 images" in metrics["notes"][0]


def test_a_tested_image_is_in_training_under_no_other_name(place, cohort, tmp_path):
    write_pair_run(place, cohort, table="split.csv")
    table = pd.read_csv(cohort / "split.csv")
    folder = shutil.copytree(cohort, tmp_path / "cohort")
    Image.open(folder / "images" / "dark" / "dark-0.png").save(folder / "images/light/new.tif")
    new = {"path": "images/light/new.tif", "label": "light", "patient_id": "p9", "split": "train"}
    table.loc[len(table)] = new
    table.to_csv(folder / "split.csv", index=False)
    patches = PatchSettings(**own(folder, "split.csv"))
    said = r"images: dark-0 is tested and has the pixels of new, which is not; take one out, or put"
    with pytest.raises(LeakageError, match=said):
        ask(place, "pair-crop_pad", patches=patches, name="mine")


def test_patches_of_one_slide_are_of_the_patients_that_their_table_names(place, tmp_path):
    _write_slide(place.store, "s0", 0)
    row = {"slide_id": "s0", "path": "0.svs", "patient_id": "p", "label": "a", "split": "train"}
    pd.DataFrame([row]).to_csv(place.manifest, index=False)
    corners = [(x, y) for y in (0, SIDE) for x in (0, SIDE)]
    table = pd.DataFrame(corners, columns=["x", "y"]).assign(slide_id="s0", label=list("abab"))
    table["patient_id"] = ["block-0", "block-0", "block-1", "block-1"]
    table["split"] = ["train", "train", "test", "test"]
    table.to_csv(tmp_path / "patches.csv", index=False)
    told = {"pairing": "crop_pad", "epochs": 1, "batch": 2, "device": "cpu", "expander": (8,)}
    settings = PairSettings(patch=SIDE, table=tmp_path / "patches.csv", name="pair-blocks", **told)
    source = open_patches(settings, place)
    pair(source, open_views(settings, source), place.cache, place.runs, settings)
    assert ask(place, "pair-blocks").notes == ()


def test_runs_without_an_encoder_or_unfinished_ones_are_named(place, cohort):
    run = write_pair_run(place, cohort, table="split.csv")
    ask(place, "pair-crop_pad")
    with pytest.raises(CheckpointError, match=r"runs/nothing: no such run; make it with"):
        ask(place, "nothing")
    with pytest.raises(ConfigError, match=r"probe-pair-crop_pad: is a probe; name a run with an"):
        ask(place, "probe-pair-crop_pad")
    run.write_provenance(run.read_provenance().model_copy(update={"status": "running"}))
    with pytest.raises(CheckpointError, match=r"pair-crop_pad: is not finished; go on with"):
        ask(place, "pair-crop_pad")
    write_pair_run(place, cohort, table="split.csv", seed=1)
    assert "pair-crop_pad is left out, as it is not finished" in ask(place, "pair-*").notes


def test_patches_without_labels_or_without_test_patches_are_refused(place, cohort, tmp_path):
    write_pair_run(place, cohort)
    untested = PatchSettings(images=cohort / "images", mag=10.0)
    with pytest.raises(NothingUsableError, match="no labelled patch is tested; name --test-images"):
        ask(place, "pair-crop_pad", patches=untested, name="untested")
    flat = shutil.copytree(cohort / "images" / "dark", tmp_path / "flat")
    with pytest.raises(ManifestError, match=r"flat: patches must have at least 2 classes, have no"):
        ask(place, "pair-crop_pad", patches=PatchSettings(images=flat, mag=10.0), name="flat")


def test_the_command_prints_the_arms_and_what_they_are_held_against(place, cohort, capsys):
    write_pair_run(place, cohort, table="split.csv")
    command = ["probe", "pair-crop_pad", "--epochs", "1", "--draws", "100", "--device", "cpu"]
    assert main([*command, "--workspace", str(place.root)]) == 0
    shown = capsys.readouterr().out
    assert " control-colour-crop_pad-images-16px " in shown
    assert main([*command, "--json", "--workspace", str(place.root)]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "wsikd-probe-metrics"


@pytest.fixture
def taught(place):
    """Teach on three folds of six slides, for fold 0; return what to probe it on."""
    table = {"slide_id": [f"s{k}" for k in range(6)], "label": list("ababab")}
    table |= {"patient_id": [f"p{k}" for k in range(6)], "path": [f"{k}.svs" for k in range(6)]}
    frame = pd.DataFrame(table).assign(fold=["0", "0", "1", "1", "2", "2"])
    frame.to_csv(place.manifest, index=False)
    for number, slide_id in enumerate(frame["slide_id"]):
        _write_slide(place.store, slide_id, number)
    settings = TeachSettings(fold=0, epochs=1, device="cpu")
    teach(RegionStore(place.store), read_manifest(place.manifest), place.runs, settings)
    return PatchSettings(patch=SIDE, mag=10.0)


def test_a_teacher_is_probed_on_the_fold_it_was_not_taught_on(place, taught):
    result = ask(place, "teacher-10x", patches=taught, name="small", epochs=1)
    region = arm(result, "probe-teacher-10x-small").units["region"]
    assert (region.count, region.patients) == (8, 2)


def test_a_teacher_is_not_probed_on_patients_it_was_taught_on(place, taught, tmp_path):
    cells = {"slide_id": ["s0", "s1", "s2", "s3"], "x": 0, "y": 0, "label": list("abab")}
    patches = pd.DataFrame(cells).assign(patient_id=["p0", "p1", "p2", "p3"])
    patches["split"] = ["train", "train", "test", "test"]
    patches.to_csv(tmp_path / "patches.csv", index=False)
    other = taught.model_copy(update={"table": tmp_path / "patches.csv"})
    with pytest.raises(LeakageError, match=r"teacher-10x-fold0: was taught from labels of .*'p2'"):
        ask(place, "teacher-10x", patches=other, name="small")
    with pytest.raises(ConfigError, match="has no privileged branch"):
        ask(place, "teacher-10x", patches=taught, name="small", branch="privileged")
    rows = pd.read_csv(place.manifest).assign(fold=[1, 1, 0, 0, 2, 2])
    rows.to_csv(place.manifest, index=False)
    with pytest.raises(LeakageError, match="was made with other slides or splits than"):
        ask(place, "teacher-10x", patches=taught, name="small")


def _write_slide(store, slide_id, seed):
    size, mpp = Size(2 * SIDE, 2 * SIDE), Mpp(1.0, 1.0)
    pixels = np.random.default_rng(seed).integers(0, 256, (2 * SIDE, 2 * SIDE, 3), np.uint8)
    piece = TissueRegion(0, Region(0, 0, size), box(0, 0, *size))
    writer = SlideWriter(store, slide_id)
    region = writer.write_region(piece, mpp, [PyramidLevel(10.0, size, mpp)], [(0, pixels)])
    record = slide_record(slide_id, (region,), (size.width, size.height), mpp)
    writer.commit(record, to_geojson([piece], mpp), pixels)
