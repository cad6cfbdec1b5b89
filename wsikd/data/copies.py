"""The same slide under two names: told by its pixels and its file, as the region store has them."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pandas as pd

from wsikd.cohort.manifest import source_of
from wsikd.errors import LeakageError
from wsikd.store import KnownSlide, RegionStore, find_copies

_PLACE = ("patient_id", "split", "fold")
_SAID = {"file": "are copies of one file", "pixels": "have the same pixels"}


def refuse_copies(store: RegionStore, table: pd.DataFrame) -> None:
    """Refuse copies of one slide that are of two patients, or in two splits or folds.

    Two of one patient in one place count twice, and leak nothing.

    Parameters
    ----------
    store : RegionStore
        Knows the slides that were prepared; others are not compared.
    table : DataFrame
        A manifest, whose files decide where pixels cannot. Auxiliary is a split, and a fold, like
        the others.

    Raises
    ------
    LeakageError
        The message names both slides.
    """
    prepared = set(store.slide_ids()) & set(table["slide_id"])
    folds = table["fold"].mask(table["split"] == "auxiliary", "auxiliary")
    places = table.assign(fold=folds).drop_duplicates(["slide_id", *_PLACE]).set_index("slide_id")
    told = tell_slides(store, sorted(prepared))
    path_of = dict(zip(table["slide_id"], map(Path, table["path"]), strict=True))
    paths = [path_of[name] for name in told.index]
    known = [
        KnownSlide(*row)
        for row in zip(told.index, told["content"], told["pixels"], paths, strict=True)
    ]
    for equal, first, second in find_copies(known):
        one, other = places.loc[[first.slide_id]], places.loc[[second.slide_id]]
        for column in _PLACE:
            pairs = product(one[column].unique(), other[column].unique())
            for here, there in (pair for pair in pairs if "" not in pair and len(set(pair)) > 1):
                ids = f"{first.slide_id} and {second.slide_id}"
                raise LeakageError(
                    f"{source_of(table)}: slides {ids} {_SAID[equal]}, in {column} {here} and "
                    f"{there}; keep one of them, or give both one patient and one split"
                )


def tell_slides(store: RegionStore, slide_ids: Iterable[str]) -> pd.DataFrame:
    """Return what tells slides by the columns of `learnt.csv`, of each its file and pixels.

    Returns
    -------
    DataFrame
        Indexed by slide_id, with the columns content and pixels.
    """
    names = list(slide_ids)
    content = [store.read_slide(name).source.sha256 for name in names]
    pixels = [store.read_digest(name) for name in names]
    return pd.DataFrame({"content": content, "pixels": pixels}, index=names, dtype=str)
