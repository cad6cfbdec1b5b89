"""What a segmenter wrote into its run's folder, and what of it is finished."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsikd.config import first_difference
from wsikd.data.fields.field import Field
from wsikd.errors import ResumeError, StoreError
from wsikd.nuclei.geojson import gather_features
from wsikd.nuclei.made import Made, MadeBy, made_by
from wsikd.nuclei.objects import ObjectSettings
from wsikd.nuclei.segment_field import FieldPaths
from wsikd.nuclei.segmented import SegmentedTable
from wsikd.nuclei.trained import Segmenter
from wsikd.status_table import REDO
from wsikd.store.labels import labels_path, read_made


class Outputs:
    """The labels, the nuclei and the table that one segmenter makes with one set of settings.

    The nuclei of a slide's fields wait in a hidden folder, a file each, until all are there.

    Parameters
    ----------
    folder : Path
        Of the run.
    segmenter : Segmenter
        What is applied.
    settings : ObjectSettings
        Resolved: what is left to the model is filled in.
    overwrite : bool
        Whether finished work is done again.
    """

    def __init__(
        self, folder: Path, segmenter: Segmenter, settings: ObjectSettings, *, overwrite: bool
    ) -> None:
        self.table = SegmentedTable(folder / "segmented.csv")
        self._labels, self._instances = folder / "labels", folder / "instances"
        self._made = made_by(segmenter, settings)
        self._overwrite = overwrite

    def paths(self, field: Field) -> FieldPaths:
        """Return where the labels and the nuclei of a field go."""
        labels = labels_path(self._labels, field.slide_id, field.region_id)
        return FieldPaths(labels, self._waiting(field.slide_id) / f"{field.region_id}.jsonl")

    def made(self, field: Field) -> Made:
        """Describe what decides the labels of a field: model, settings and pixels."""
        return self._made.of(field)

    def refuse_others(self, slide_id: str) -> None:
        """Refuse to mix what other settings or another model made with what these would.

        Raises
        ------
        ResumeError
            Unless finished work is done again.
        """
        if self._overwrite:
            return
        for path in sorted((self._labels / slide_id).glob("[!.]*.ome.zarr")):
            made = self._read_made(slide_id, path.name.removesuffix(".ome.zarr"))
            if made is not None:
                before = {key: made.get(key) for key in type(self._made).model_fields}
                _refuse_difference(path, before, self._made)

    def unfinished(self, fields: Sequence[Field]) -> list[Field]:
        """List the fields of a slide to segment: all, once its nuclei were gathered.

        Raises
        ------
        ResumeError
            If a finished one was made of other pixels, or is no field of the slide any more.
        """
        slide_id = fields[0].slide_id
        self._settle_others(slide_id, {field.region_id for field in fields})
        waiting = self._waiting(slide_id).is_dir()
        left = [field for field in fields if not self._is_finished(field, waiting=waiting)]
        if not waiting and (left or not self._collection(slide_id).exists()):
            left = list(fields)
        if len(left) == len(fields):
            shutil.rmtree(self._waiting(slide_id), ignore_errors=True)
        return left

    def _settle_others(self, slide_id: str, regions: set[str]) -> None:
        """Remove what is there of regions that the slide has no longer, if all is done again."""
        for path in sorted((self._labels / slide_id).glob("[!.]*.ome.zarr")):
            region_id = path.name.removesuffix(".ome.zarr")
            if region_id in regions:
                continue
            if not self._overwrite:
                raise ResumeError(
                    f"{path}: is of a region that the slide was cut into before and is not now; "
                    f"{REDO}"
                )
            shutil.rmtree(path)
            self.table.drop(slide_id, region_id)

    def gather(self, fields: Sequence[Field]) -> None:
        """Write the nuclei of a slide's fields that are there; they wait on if some are not."""
        slide_id = fields[0].slide_id
        parts = [path for path in (self.paths(field).nuclei for field in fields) if path.exists()]
        if parts:
            gather_features(parts, self._collection(slide_id))
        if len(parts) == len(fields):
            shutil.rmtree(self._waiting(slide_id))

    def _is_finished(self, field: Field, *, waiting: bool) -> bool:
        made = self._read_made(field.slide_id, field.region_id)
        is_done = self.table.is_done(field.slide_id, field.region_id)
        if self._overwrite or made is None or not is_done:
            return False
        paths = self.paths(field)
        _refuse_difference(paths.labels, made, self.made(field))
        return paths.nuclei.exists() or not waiting

    def _read_made(self, slide_id: str, region_id: str) -> dict[str, Any] | None:
        """Read how labels were made; damaged ones are made again."""
        try:
            return read_made(self._labels, slide_id, region_id)
        except StoreError:
            return None

    def _collection(self, slide_id: str) -> Path:
        return self._instances / f"{slide_id}.geojson"

    def _waiting(self, slide_id: str) -> Path:
        return self._instances / f".{slide_id}"


def _refuse_difference(path: Path, before: Mapping[str, Any], now: MadeBy) -> None:
    """Refuse labels made otherwise; those of another version may lack what is known now."""
    difference = first_difference(before, now.model_dump(mode="json"))
    if difference is None:
        return
    key, old, new = difference
    old, new = ("unset" if value is None else value for value in (old, new))
    if key in ("model", "source"):
        raise ResumeError(f"{path}: the {key} changed since it was segmented; {REDO}")
    raise ResumeError(f"{path}: was segmented with {key} {old}, now asked for {new}; {REDO}")
