"""From predictions of regions to decisions about regions, slides and patients."""

from collections.abc import Sequence
from typing import Literal, get_args

import pandas as pd

from wsikd.runs import probability_columns

Unit = Literal["region", "slide", "patient"]
UNITS: tuple[Unit, ...] = get_args(Unit)

UNIT_KEYS = {
    "region": ["patient_id", "slide_id", "region_id"],
    "slide": ["patient_id", "slide_id"],
    "patient": ["patient_id"],
}
_MIXED = ""  # the label of a slide or patient whose parts have different labels


def aggregate(predictions: pd.DataFrame, classes: Sequence[str], unit: Unit) -> pd.DataFrame:
    """Average probabilities from regions to slides, and from slides to patients.

    Every region of a slide has the same weight, and every slide of a patient, whatever its size.

    Parameters
    ----------
    predictions : DataFrame
        As `RunFolder.read_predictions` returns them, labelled rows only.
    classes : sequence of str
        In the order of p_0, p_1, ...
    unit : {"region", "slide", "patient"}
        What a row of the result is.

    Returns
    -------
    DataFrame
        Sorted by its index, the ids of the unit from patient_id on; columns label and p_0, p_1,
        ... The label is empty where the parts of a unit have different ones.
    """
    probabilities = probability_columns(classes)
    table = predictions[[*UNIT_KEYS["region"], "label", *probabilities]]
    for step in UNITS[: UNITS.index(unit) + 1]:
        groups = table.reset_index().groupby(UNIT_KEYS[step], sort=True)
        labels = groups["label"].first().where(groups["label"].nunique() == 1, _MIXED)
        table = groups[probabilities].mean().assign(label=labels)
    return table


def decide(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Take the most probable class of every unit that has one label.

    Parameters
    ----------
    table : DataFrame
        From `aggregate`.
    classes : sequence of str
        In the order of p_0, p_1, ...

    Returns
    -------
    DataFrame
        The same index without the units of mixed label; columns truth and prediction, class
        indices, and p_0, p_1, ... Between equally probable classes the first one is taken.
    """
    clear = table[table["label"] != _MIXED]
    index_of = {name: index for index, name in enumerate(classes)}
    probabilities = clear[probability_columns(classes)]
    return probabilities.assign(
        truth=clear["label"].map(index_of).astype(int),
        prediction=probabilities.to_numpy().argmax(axis=1),
    )
