import pytest

from wsikd.data.fields.inputs import list_inputs
from wsikd.errors import ManifestError, NothingUsableError, StoreError
from wsikd.store import RegionStore
from wsikd.workspace import Workspace


@pytest.fixture
def nowhere(tmp_path):
    return Workspace(tmp_path / "nowhere")


def names(found):
    return [one.slide_id for one in found]


def test_images_of_a_folder_are_patients_of_their_own(make_images, nowhere):
    folder = make_images(["b.png", "a.jpg"])
    found = list_inputs([folder], nowhere)
    assert [(one.slide_id, one.patient_id, one.path, one.mpp) for one in found] == [
        ("a", "a", folder / "a.jpg", None),
        ("b", "b", folder / "b.png", None),
    ]


def test_files_and_folders_may_be_mixed_and_keep_their_order(make_images, nowhere):
    first, second = make_images(["z.png"]), make_images(["a.png"], name="more")
    assert names(list_inputs([first / "z.png", second], nowhere)) == ["z", "a"]


def test_a_table_in_the_folder_says_patients_and_mpp(make_images, nowhere):
    folder = make_images(["a.png", "b.png", "c.png"])
    (folder / "slides.csv").write_text("path,patient_id,mpp\na.png,p1,0.5\nb.png,,\n")
    found = list_inputs([folder], nowhere)
    assert [(one.slide_id, one.patient_id, one.mpp) for one in found] == [
        ("a", "p1", 0.5),
        ("b", "b", None),
    ]


def test_nothing_named_means_the_regions_of_the_workspace(make_workspace):
    workspace = make_workspace(("s1", "s2"))
    found = list_inputs([], workspace)
    assert [(one.slide_id, one.patient_id) for one in found] == [("s1", "p-s1"), ("s2", "p-s2")]
    assert all(one.store.path == workspace.store for one in found)
    assert found[0].path == workspace.root / "s1.svs"


def test_a_store_is_known_by_its_slides_wherever_it_is(make_workspace, nowhere):
    (found,) = list_inputs([make_workspace().store], nowhere)
    assert (found.slide_id, found.patient_id, found.path) == ("s1", "s1", None)
    assert isinstance(found.store, RegionStore)


def test_another_workspace_is_known_by_its_store(make_workspace, nowhere):
    (found,) = list_inputs([make_workspace().root], nowhere)
    assert (found.slide_id, found.patient_id) == ("s1", "p-s1")


def test_a_slide_that_is_not_in_the_manifest_is_a_patient_of_its_own(make_workspace):
    workspace = make_workspace(("s1", "s2"))
    rows = workspace.manifest.read_text().splitlines()
    workspace.manifest.write_text("\n".join(rows[:2]) + "\n")
    found = list_inputs([], workspace)
    assert [(one.patient_id, one.path is None) for one in found] == [("p-s1", False), ("s2", True)]


class TestRefuses:
    def test_two_inputs_of_one_name(self, make_images, nowhere):
        folder, more = make_images(["a.png"]), make_images(["a.tif"], name="more")
        message = r"own, .+/images/a\.png and .+/more/a\.tif are both 'a'; rename one$"
        with pytest.raises(ManifestError, match=message):
            list_inputs([folder, more], nowhere)

    def test_an_image_with_the_name_of_a_prepared_slide(self, make_images, make_workspace):
        workspace, folder = make_workspace(), make_images(["s1.png"])
        message = r"own, .+/regions/s1 and .+/s1\.png are both 's1'; rename one$"
        with pytest.raises(ManifestError, match=message):
            list_inputs([workspace.store, folder], Workspace(folder))

    def test_a_folder_without_images(self, tmp_path, nowhere):
        (tmp_path / "empty").mkdir()
        with pytest.raises(NothingUsableError, match=r"/empty: holds no slide; put files of "):
            list_inputs([tmp_path / "empty"], nowhere)

    def test_what_is_not_there(self, tmp_path, nowhere):
        with pytest.raises(ManifestError, match=r"/lost: no such file or folder$"):
            list_inputs([tmp_path / "lost"], nowhere)

    def test_a_workspace_without_regions_if_nothing_is_named(self, nowhere):
        with pytest.raises(StoreError, match=r"/regions: no such folder; make it with `wsikd prep"):
            list_inputs([], nowhere)

    def test_a_store_without_slides(self, tmp_path):
        workspace = Workspace(tmp_path)
        workspace.store.mkdir()
        with pytest.raises(NothingUsableError, match="/regions: no slide was prepared; run wsikd"):
            list_inputs([], workspace)
