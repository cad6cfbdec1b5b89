from tests.builders import coloured_manifest, write_coloured_store
from wsikd.methods.hand_over import hand_over
from wsikd.runs import find_runs
from wsikd.runs.pictures import PictureFolder


def test_leaves_controls_and_pictures(tmp_path):
    manifest = coloured_manifest()
    store = write_coloured_store(tmp_path / "regions", manifest)
    assert hand_over(tmp_path / "runs", store, manifest, [0]) == []
    names = [run.name for run in find_runs(tmp_path / "runs")]
    assert names == ["control-colour-fold0", "control-majority-fold0"]
    assert len(PictureFolder(tmp_path / "runs").read().slides) == 12


def test_what_cannot_be_made_is_told_and_not_raised(tmp_path):
    manifest = coloured_manifest()
    store = write_coloured_store(tmp_path / "regions", manifest)
    for lock in (".controls.lock", ".pictures.lock"):
        (tmp_path / "runs" / lock).mkdir(parents=True)
    notes = hand_over(tmp_path / "runs", store, manifest, [0])
    assert [note.partition(":")[0] for note in notes] == [
        "the controls were not made",
        "the report's pictures were not made",
    ]
