from pathlib import Path

from wsikd.workspace import Workspace


def test_everything_has_its_place_below_the_root():
    place = Workspace(Path("cohort"))
    found = {
        name: getattr(place, name).as_posix()
        for name in ("settings", "manifest", "store", "runs", "report")
    }
    assert found == {
        "settings": "cohort/wsikd.yaml",
        "manifest": "cohort/slides.csv",
        "store": "cohort/regions",
        "runs": "cohort/runs",
        "report": "cohort/report.html",
    }


def test_the_default_is_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Workspace.here().manifest.absolute() == tmp_path / "slides.csv"
