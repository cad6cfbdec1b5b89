"""From what a user names to its slides and images: folders, files, or a region store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsikd.cohort.manifest import manifest_from_folder, read_manifest
from wsikd.cohort.naming import name_slides
from wsikd.errors import ManifestError, NothingUsableError
from wsikd.store import RegionStore
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FieldInput:
    """One slide or image among the inputs.

    Attributes
    ----------
    slide_id, patient_id : str
        Its name, and the patient it comes from; an image is a patient of its own.
    path : Path or None
        Its file; None if the workspace does not know where the slide of a store is.
    mpp : float or None
        µm per level-0 pixel as the user states it.
    store : RegionStore or None
        Where its regions are, if they were prepared.
    """

    slide_id: str
    patient_id: str
    path: Path | None
    mpp: float | None = None
    store: RegionStore | None = None

    @property
    def place(self) -> Path | None:
        """Where its pixels are read first: its folder in the store, or its file."""
        return self.path if self.store is None else self.store.path / self.slide_id


def list_inputs(inputs: Sequence[Path], workspace: Workspace) -> list[FieldInput]:
    """List the slides and images that are named.

    Parameters
    ----------
    inputs : sequence of Path
        Files, folders of images or slides, or a region store; none: the workspace's own store.
    workspace : Workspace
        Its manifest knows where the slides of its store are.

    Raises
    ------
    ManifestError
        If there is no such file, a table breaks a rule, or two inputs have one name.
    NothingUsableError
        If there is none.
    StoreError
        If there is no store.
    """
    found = [one for path in inputs or (workspace.store,) for one in _list(path, workspace)]
    first: dict[str, FieldInput] = {}
    for one in found:
        if one.slide_id in first:
            raise ManifestError(
                f"inputs must have names of their own, {first[one.slide_id].place} and {one.place} "
                f"are both {one.slide_id!r}; rename one"
            )
        first[one.slide_id] = one
    return found


def _list(path: Path, workspace: Workspace) -> list[FieldInput]:
    if path == workspace.store or any(path.glob("*/slide.json")):
        return _list_store(RegionStore(path), workspace)
    if (path / workspace.store.name).is_dir():
        return _list(path / workspace.store.name, Workspace(path))
    if path.is_dir():
        return [_of_row(row) for _, row in manifest_from_folder(path).iterrows()]
    if not path.exists():
        raise ManifestError(f"{path}: no such file or folder")
    (name,) = name_slides([path])
    return [FieldInput(name, name, path)]


def _list_store(store: RegionStore, workspace: Workspace) -> list[FieldInput]:
    has_manifest = workspace.manifest.exists()
    rows = read_manifest(workspace.manifest).set_index("slide_id") if has_manifest else None
    found = []
    for slide_id in store.slide_ids():
        row = None if rows is None or slide_id not in rows.index else rows.loc[slide_id]
        patient = slide_id if row is None else str(row["patient_id"] or slide_id)
        path = None if row is None else Path(str(row["path"]))
        found.append(FieldInput(slide_id, patient, path, store=store))
    if not found:
        raise NothingUsableError(f"{store.path}: no slide was prepared; run wsikd prepare")
    return found


def _of_row(row: "pd.Series[str]") -> FieldInput:
    mpp = float(row["mpp"]) if row["mpp"] else None
    patient = row["patient_id"] or row["slide_id"]
    return FieldInput(row["slide_id"], patient, Path(row["path"]), mpp)
