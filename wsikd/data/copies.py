"""The same slide under two names: told by what is in its file, as the region store has it."""

import pandas as pd

from wsikd.cohort.manifest import source_of
from wsikd.errors import LeakageError
from wsikd.store import RegionStore

_PLACE = ("patient_id", "split", "fold")


def refuse_copies(store: RegionStore, table: pd.DataFrame) -> None:
    """Refuse slides of one file that are of two patients, or in two splits or folds.

    Two of one patient in one place count twice, and leak nothing.

    Parameters
    ----------
    store : RegionStore
        Knows the files of the slides that were prepared; others are not compared.
    table : DataFrame
        A manifest. Auxiliary is a split, and a fold, like the others.

    Raises
    ------
    LeakageError
        The message names both slides.
    """
    prepared = set(store.slide_ids()) & set(table["slide_id"])
    contents = {name: store.read_slide(name).source.sha256 for name in prepared}
    rows = table[table["slide_id"].isin(prepared)]
    folds = rows["fold"].mask(rows["split"] == "auxiliary", "auxiliary")
    rows = rows.assign(fold=folds, content=rows["slide_id"].map(contents))
    rows = rows[rows["content"] != ""].drop_duplicates(["slide_id", *_PLACE])
    for _, alike in rows.sort_values("slide_id").groupby("content"):
        for column in _PLACE:
            known = alike[alike[column] != ""].drop_duplicates(column)
            if known["slide_id"].nunique() > 1:
                first, second = known["slide_id"].unique()[:2]
                values = (
                    known.loc[known["slide_id"] == name, column].iloc[0] for name in (first, second)
                )
                raise LeakageError(
                    f"{source_of(table)}: slides {first} and {second} are copies of one file, in "
                    f"{column} {' and '.join(values)}; keep one of them, or give both one patient "
                    "and one split"
                )
