"""Who has seen whom: what a run records of it, and what a new run refuses to start from.

A run that starts from another has seen what that one has; its record holds both.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from wsikd.data.copies import tell_slides
from wsikd.data.likeness import SMALLEST, find_alike, perceptual_hash, pixel_digest
from wsikd.data.pairs import Partner, Shown
from wsikd.data.patches import PatchSource
from wsikd.data.patches.seen import digests_of, seen_patches
from wsikd.data.regions import RegionItem
from wsikd.errors import LeakageError
from wsikd.methods.region_inputs import Inputs
from wsikd.runs import RunFolder
from wsikd.runs.learnt import completed, find_seen, inherited, learnt_from, untraced

UNRELATED_HELP = (
    "I vouch that the images behind --init show none of the patients validated or tested on; "
    "asked for where nothing tells whose they are"
)
_TESTED = ("val", "test")


class Past(NamedTuple):
    """What a new run has seen through those it starts from.

    Attributes
    ----------
    rows : DataFrame
        For its own `learnt.csv`.
    notes : tuple of str
        What a reader of its numbers should know of that.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...]


def seen_slides(inputs: Inputs, splits: Iterable[str]) -> pd.DataFrame:
    """Describe the slides of some splits by the columns of `learnt.csv`."""
    rows = {
        item.slide_id: {
            "slide_id": item.slide_id,
            "patient_id": item.patient_id,
            "split": item.split,
            "label": item.label,
            "traced": "yes",
        }
        for split in splits
        for item in inputs.items[split]
    }
    told = tell_slides(inputs.store, rows).reset_index(drop=True)
    return completed(pd.concat([pd.DataFrame(list(rows.values())), told], axis=1))


def seen_pairs(
    source: PatchSource,
    shown: Iterable[Shown],
    partner: Path | None,
    cache: Path,
    rows: Sequence[int],
    *,
    tested: bool,
) -> pd.DataFrame:
    """Describe patches by the columns of `learnt.csv`, and second images of tissue of their own.

    Parameters
    ----------
    source : PatchSource
        The patches.
    shown : iterable of PatchSource or Partner
        What the branches see of them.
    partner : Path or None
        Where the second images are from; of a run that made them, all that it has seen counts.
    cache : Path
        Folder of decoded patches.
    rows : sequence of int
        The patches learnt from, by their place in the source.
    tested : bool
        Whether these are to be what is tested as well, so that a probe need not refuse them.
    """
    patches = seen_patches(source, cache).iloc[list(rows)].assign(split="train")
    partners = []
    for one in shown:
        if isinstance(one, Partner) and one.shows_more:
            digests = digests_of(one, cache).iloc[list(rows)]
            about: dict[str, Any] = {"width": str(one.size.width), "height": str(one.size.height)}
            about |= {str(name): column for name, column in digests.items()}
            partners.append(patches.assign(**about))
    if partner is not None and (run := RunFolder(partner)).exists() and run.has_learnt():
        partners.append(inherited(run.read_learnt(), run.name))
    return completed(pd.concat([patches, *partners]).assign(asked="yes" if tested else ""))


def look_back(ancestors: Sequence[RunFolder], inputs: Inputs, *, unrelated: bool) -> Past:
    """Refuse to start from runs that have seen what the new one is validated or tested on.

    Parameters
    ----------
    ancestors : sequence of RunFolder
        Finished runs that the new one starts from or learns from. One that follows the manifest's
        splits and has no `learnt.csv` is of an older version; its splits were compared then.
    inputs : Inputs
        What the new run is made of.
    unrelated : bool
        Whether the user vouches for images that cannot be traced to a patient.

    Raises
    ------
    LeakageError
        If a slide, a file, decoded pixels or a patient is seen again, or nobody can tell whether
        a patient is and the user does not vouch for it.
    """
    rows, notes = [completed(pd.DataFrame())], list[str]()
    tested = seen_slides(inputs, _TESTED)
    for source in ancestors:
        if not source.has_learnt() and source.read_provenance().kind.follows_splits:
            continue
        learnt = source.read_learnt()
        for found in find_seen(learnt, tested):
            raise _leak(source, str(found))
        notes += _vouched(source, learnt, unrelated=unrelated)
        notes += _compare_pixels(source, learnt_from(learnt), inputs)
        rows.append(inherited(learnt, source.name))
    return Past(pd.concat(rows), tuple(dict.fromkeys(notes)))


def _leak(source: RunFolder, seen: str) -> LeakageError:
    return LeakageError(
        f"{source.path}: has seen {seen}, which this run is validated or tested on; train it on "
        "the training slides alone, with the same splits"
    )


def _vouched(source: RunFolder, learnt: pd.DataFrame, *, unrelated: bool) -> Iterator[str]:
    """Yield that somebody vouches for images of unknown patients; refuse if nobody does."""
    made = source.read_provenance()
    strangers = find_strangers(source, learnt)
    if strangers.empty:
        return
    count = f"{len(strangers)} image{'' if len(strangers) == 1 else 's'}"
    # what follows splits has the same ones, see `check_source`, and was vouched for when made
    if not unrelated and not made.kind.follows_splits:
        first = strangers["slide_id"].iloc[0]
        raise LeakageError(
            f"{source.path}: {count} learnt from cannot be traced to a patient, "
            f"the first is {first}; train it with a --table of their patients, or vouch with "
            "--unrelated that they show none of those validated or tested on"
        )
    yield (
        f"{count} that {source.name} has learnt from cannot be traced to a "
        "patient; --unrelated vouches that they show none of those validated or tested on"
    )


def find_strangers(source: RunFolder, learnt: pd.DataFrame) -> pd.DataFrame:
    """Return the images of unknown patients; in older records those named like their patient."""
    is_older = learnt["traced"] == ""
    if is_older.any() and source.read_settings().get("images") is not None:
        own = learnt["patient_id"].isin(["", *learnt["slide_id"]])
        learnt = learnt.assign(traced=learnt["traced"].mask(is_older & own, "no"))
    return untraced(learnt).drop_duplicates("slide_id")


def _compare_pixels(source: RunFolder, learnt: pd.DataFrame, inputs: Inputs) -> Iterator[str]:
    """Compare images with the tested regions of their size; yield how many nearly look alike."""
    items = [item for split in _TESTED for item in inputs.items[split]]
    seen = learnt[learnt["pixels"] != ""]
    sizes = set(zip(seen["width"], seen["height"], strict=True))
    for item, magnification in _levels_of(items, inputs, sizes):
        pixels = inputs.store.read_pixels(item.slide_id, item.region_id, magnification)
        same = seen[seen["pixels"] == pixel_digest(pixels)]
        if len(same):
            name = same["slide_id"].iloc[0]
            seen_as = f"{item.slide_id}/{item.region_id} under the name {name}"
            raise _leak(source, f"the pixels of {seen_as}")
    known = learnt[learnt["perceptual"] != ""]
    if known.empty:
        return
    alike = list(find_alike(list(known["perceptual"]), [_look(item, inputs) for item in items]))
    if alike:
        image, item = known["slide_id"].iloc[alike[0][0]], items[alike[0][1]]
        yield (
            f"{len(alike)} of the {len(items)} regions validated or tested on look much like "
            f"images that {source.name} has learnt from, the first is "
            f"{item.slide_id}/{item.region_id}, like {image}"
        )


def _levels_of(
    items: Iterable[RegionItem], inputs: Inputs, sizes: set[tuple[str, str]]
) -> Iterator[tuple[RegionItem, float]]:
    """Yield the regions and magnifications that are of one of these sizes."""
    for item in items:
        for region in inputs.store.read_slide(item.slide_id).regions:
            for level in region.levels if region.region_id == item.region_id else ():
                if (str(level.width), str(level.height)) in sizes:
                    yield item, level.magnification


def _look(item: RegionItem, inputs: Inputs) -> str:
    """Hash how a region looks, at the coarsest magnification that is large enough."""
    (region,) = [
        region
        for region in inputs.store.read_slide(item.slide_id).regions
        if region.region_id == item.region_id
    ]
    large = [level for level in region.levels if min(level.width, level.height) >= SMALLEST]
    if not large:
        return ""
    level = min(large, key=lambda level: level.magnification)
    return perceptual_hash(
        inputs.store.read_pixels(item.slide_id, item.region_id, level.magnification)
    )
