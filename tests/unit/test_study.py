"""The commands from Python, on drawn slides: what is not in docs/how-to/python.md, which is run."""

import subprocess
import sys

import pytest

from wsikd import Study
from wsikd.cohort import write_manifest
from wsikd.drawn import DrawSettings, draw_slides
from wsikd.errors import ConfigError, ManifestError, NothingUsableError
from wsikd.evaluation import EvaluateSettings
from wsikd.methods.teach import TeachSettings
from wsikd.workspace import Workspace

SMALL = DrawSettings(slides=9, pieces=1, piece_mm=(0.4, 0.45))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    draw_slides(folder / "slides", SMALL)
    said = []
    study = Study(folder / "cohort", say=said.append)
    study.said = said
    done = study.prepare(folder / "slides", workers=0, pyramid={"magnifications": [10, 1.25]})
    assert [one.status for one in done] == ["done"] * 9
    return study


def test_says_what_the_commands_say(study):
    assert study.said[0] == f"9 slides in {study.workspace.manifest}"


def test_is_the_workspace_of_a_folder_however_it_is_named(tmp_path):
    assert Study(tmp_path).workspace == Study(str(tmp_path)).workspace == Workspace(tmp_path)
    assert Study(Workspace(tmp_path)).workspace == Workspace(tmp_path)


def test_fields_that_are_stated_go_before_those_of_a_settings_object(study):
    study.split(fractions=(0.34, 0.33, 0.33))
    (run,) = study.teach(TeachSettings(mag=1.25, epochs=3, device="cpu"), epochs=1, seed=4)
    settings = run.read_settings()
    assert (settings["mag"], settings["epochs"], settings["seed"]) == (1.25, 1, 4)
    assert "baseline-1.25x-seed4" in [each.name for each in study.runs]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 3}, "epoch is unknown; leave it out or correct its name"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ],
)
def test_a_field_that_breaks_a_rule_is_one_line(study, options, message):
    with pytest.raises(ConfigError) as refusal:
        study.teach(**options)
    assert str(refusal.value) == message


def test_what_is_missing_names_the_command_that_makes_it(tmp_path):
    (tmp_path / "slides.csv").write_text("slide_id,path,patient_id,label,split\ns,s.svs,p,a,test\n")
    with pytest.raises(NothingUsableError, match="no run to evaluate; run wsikd teach first"):
        Study(tmp_path).evaluate(EvaluateSettings(draws=100))


def test_importing_the_package_loads_no_library_but_settings():
    code = "import sys, wsikd; wsikd.Study; print({'torch','pandas','zarr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_there_is_nothing_else_in_the_package():
    import wsikd  # noqa: PLC0415

    with pytest.raises(AttributeError, match="module 'wsikd' has no attribute 'Cohort'"):
        wsikd.Cohort  # noqa: B018


def test_what_wsikd_yaml_states_holds_unless_it_is_given(study):
    study.workspace.settings.write_text(
        "teach: {epochs: 1, mag: 1.25, seed: 7, augment.hue: 0.1, device: cpu}\n"
        "split: {fractions: [0.34, 0.33, 0.33], seed: 3}\n"
    )
    first = study.split()
    assert first["split"].tolist() == study.split(seed=3)["split"].tolist()
    assert first["split"].tolist() != study.split(seed=4)["split"].tolist()
    (run,) = study.teach(seed=8)
    settings = run.read_settings()
    assert (settings["mag"], settings["seed"], settings["augment"]["hue"]) == (1.25, 8, 0.1)
    study.workspace.settings.unlink()


def test_slides_without_a_known_patient_are_noted_beside_the_numbers(study, tmp_path):
    said = []
    other = Study(tmp_path, say=said.append)
    table = study.manifest
    table["label"], table["split"] = "a", "train"
    table.loc[table.index[::2], "label"] = "b"
    table.loc[table.index[:2], "split"] = "test"
    table.loc[table.index[2:4], "patient_id"] = "NA"
    table.loc[table.index[4], "label"] = ""
    write_manifest(table, other.workspace.manifest)
    other.workspace.store.symlink_to(study.workspace.store)
    other.teach(mag=1.25, epochs=1, device="cpu")
    doubt = "patient_id is 'NA' of 2 slides, which are taken for one patient; name their patients"
    assert said[0] == f"note: {doubt}"
    left_out = f"left out: 1 of 9, first {table['slide_id'][4]!r}"
    assert said[1] == f"note: slides without a label that are {left_out}"
    assert len(said) == 2
    assert doubt in other.evaluate(draws=100).notes


def test_folds_that_are_sites_are_told_in_training_and_beside_the_numbers(study, tmp_path):
    said = []
    other = Study(tmp_path, say=said.append)
    table = study.manifest.assign(split="")
    patients = sorted(table["patient_id"].unique())
    at = {patient: ("NA", "Bern", "Ulm")[k % 3] for k, patient in enumerate(patients)}
    table["site"] = table["patient_id"].map(at)
    first = ~table["patient_id"].duplicated()
    table["label"] = "a"
    table.loc[first & table["patient_id"].isin(patients[3:6]), "label"] = "b"
    write_manifest(table, other.workspace.manifest)
    other.workspace.store.symlink_to(study.workspace.store)
    other.split(folds="site")
    said.clear()
    other.teach(mag=1.25, epochs=1, device="cpu")
    count = (table["site"] == "NA").sum()
    notes = (
        f"site is 'NA' of {count} slides, which are taken for one site; name their sites",
        "each fold is a site, tested by models of other sites: 0 is 'Bern', 1 is 'NA', 2 is 'Ulm'",
    )
    assert said == [f"note: {note}" for note in notes]
    assert other.evaluate(draws=100).notes[:2] == notes
    page = other.report().read_text(encoding="utf-8")
    assert "each fold is a site" in page


def test_a_cohort_without_any_label_is_refused_and_its_splits_stay(study, tmp_path):
    other = Study(tmp_path, say=[].append)
    write_manifest(study.manifest.assign(label="", split="train"), other.workspace.manifest)
    other.workspace.store.symlink_to(study.workspace.store)
    before = other.workspace.manifest.read_bytes()
    for refused in (lambda: other.split(unlabelled="auxiliary"), lambda: other.teach(mag=1.25)):
        with pytest.raises(ManifestError, match="no slide has a label; fill in some labels"):
            refused()
    assert other.workspace.manifest.read_bytes() == before


def test_splits_that_nobody_dealt_are_dealt_as_wsikd_yaml_states(study, tmp_path):
    said = []
    other = Study(tmp_path, say=said.append)
    write_manifest(study.manifest.assign(split="", fold=""), other.workspace.manifest)
    other.workspace.settings.write_text("split: {folds: 3}\nteach: {epochs: 1, device: cpu}\n")
    other.workspace.store.symlink_to(study.workspace.store)
    runs = other.teach(mag=1.25, fold=2)
    assert [run.name for run in runs] == ["baseline-1.25x-fold2"]
    (note,) = said
    assert note.endswith("had no splits, now dealt by patient; wsikd split deals others")


def test_shows_its_folder(tmp_path):
    assert repr(Study("cohort")) == "Study('cohort')"
