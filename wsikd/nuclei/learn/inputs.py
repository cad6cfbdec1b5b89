"""What a segmenter is trained on: fields of images, slides or regions, and their patients."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from wsikd.data.fields.field import Field
from wsikd.data.fields.inputs import FieldInput, list_inputs
from wsikd.data.fields.opening import open_fields
from wsikd.errors import ConfigError, NothingUsableError, SlideError, WsikdError
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.learn.watch import Truths
from wsikd.nuclei.score.sets import LabelledImage, open_nuclei_set, split_images
from wsikd.workspace import Workspace


class Gathered(NamedTuple):
    """What `wsikd.nuclei.learn.segment.segment` begins with."""

    inputs: list[FieldInput]
    fields: list[Field]
    truths: Truths


def gather(
    paths: Sequence[Path],
    labelled: Path | None,
    settings: SegmentSettings,
    workspace: Workspace,
    say: Callable[[str], None],
) -> Gathered:
    """Find what is learnt from; what cannot be used is named and left out.

    Parameters
    ----------
    paths : sequence of Path
        As for `wsikd.data.fields.inputs.list_inputs`.
    labelled : Path or None
        A labelled set, in place of `paths`; its training images are learnt from.
    settings : SegmentSettings
        How inputs are read.
    workspace : Workspace
        Holds the region store.
    say : callable
        Told what is left out, and why.

    Raises
    ------
    ConfigError
        If both or neither are given where one is needed, or some inputs alone have µm per pixel.
    ManifestError
        If inputs or the set cannot be listed.
    NothingUsableError
        If nothing can be used.
    """
    if labelled is not None and paths:
        raise ConfigError("--labelled and inputs exclude each other; give one")
    if labelled is None and settings.select == "labels":
        raise ConfigError("--select labels needs --labelled, a set of images with known nuclei")
    images = [] if labelled is None else _training_images(labelled)
    inputs = list_inputs(paths, workspace) if labelled is None else list(map(_of_image, images))
    fields, used = [], []
    for one in inputs:
        try:
            opened = open_fields(one, settings)
        except WsikdError as error:
            say(f"left out: {error}")
            continue
        found = [field for field in opened if _is_usable(field, settings, say)]
        fields += found
        used += [one] if found else []
    if not fields:
        raise NothingUsableError(f"all {len(inputs)} inputs were left out; see above")
    _refuse_mixture(fields)
    return Gathered(used, fields, {image.name: image.read_instances for image in images})


def refuse_small(field: Field, settings: SegmentSettings) -> None:
    """Refuse a field that no window fits into.

    Raises
    ------
    SlideError
    """
    if min(field.size) < settings.window:
        raise SlideError(
            f"{field.source}: {field.region_id} must be at least --window {settings.window} px "
            f"wide and high, is {field.size.width} x {field.size.height}; leave it out"
        )


def _is_usable(field: Field, settings: SegmentSettings, say: Callable[[str], None]) -> bool:
    try:
        refuse_small(field, settings)
    except SlideError as error:
        say(f"left out: {error}")
        return False
    return True


def _refuse_mixture(fields: Sequence[Field]) -> None:
    """Refuse to learn from pixels of known and of unknown size together."""
    known = [field for field in fields if field.mpp is not None]
    unknown = [field for field in fields if field.mpp is None]
    if known and unknown:
        raise ConfigError(
            f"inputs must all have µm per pixel or none, {unknown[0].source} has none and "
            f"{known[0].source} some; train on either, or give --mpp"
        )


def _training_images(folder: Path) -> list[LabelledImage]:
    parted = split_images(open_nuclei_set(folder), seed=0)
    images = [image for image in parted if image.split == "train"]
    if not images:
        raise NothingUsableError(
            f"{folder}: has no training image; give a set that says which of its images are"
        )
    return images


def _of_image(image: LabelledImage) -> FieldInput:
    return FieldInput(image.name, image.patient_id, image.image, image.mpp)
