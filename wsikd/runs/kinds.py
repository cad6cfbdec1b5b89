"""What each kind of run can do: the one table that every command asks, instead of comparing names.

A new kind is one line of `KINDS`, and its name in `Method`, which is what `run.json` holds.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal[
    "teacher", "baseline", "student", "finetuned", "control", "pair", "probe", "segment"
]
"""Name of a kind of run, as `run.json` has it."""

METHODS: tuple[Method, ...] = get_args(Method)
"""Names of all kinds of run."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a run of one kind is and can do.

    Attributes
    ----------
    title : str
        What people call it.
    aside : str
        What is said of it beside its title, if anything.
    command : str
        What makes it, and goes on with it.
    is_evaluated : bool
        Whether it predicts the regions of the cohort, for `wsikd evaluate` and the report.
    is_control : bool
        Whether it stands there for others to be compared with.
    is_teacher : bool
        Whether it was made to teach students, and so is held against no teacher itself.
    is_baseline : bool
        Whether students of its magnification, architecture and data are held against it.
    learns_from : str, optional
        Among the inputs of its `run.json`, the run that it learnt from and is held against.
    follows_splits : bool
        Whether it was trained on the training patients of the manifest and chosen by those of
        validation, with the digest of the splits recorded.
    records_learnt : bool
        Whether it learnt without labels and follows no splits: `learnt.csv` alone tells from what.
    has_encoder : bool
        Whether its network turns an image into an embedding.
    has_branches : bool
        Whether there is an encoder of a privileged branch beside the primary one.
    has_segmenter : bool
        Whether its network finds nuclei.
    is_distilled : bool
        Whether it learnt from a teacher's answers: the cheap model that a report is about.
    can_teach : bool
        Whether a student can be distilled from it.
    can_be_finetuned : bool
        Whether its last layer can be trained from labels afterwards.
    """

    title: str
    command: str
    aside: str = ""
    is_evaluated: bool = False
    is_control: bool = False
    is_teacher: bool = False
    is_baseline: bool = False
    learns_from: Literal["teacher", "student"] | None = None
    follows_splits: bool = False
    records_learnt: bool = False
    has_encoder: bool = False
    has_branches: bool = False
    has_segmenter: bool = False
    is_distilled: bool = False
    can_teach: bool = False
    can_be_finetuned: bool = False


KINDS: dict[Method, Kind] = {
    "teacher": Kind(
        title="teacher",
        command="wsikd teach",
        is_evaluated=True,
        is_teacher=True,
        follows_splits=True,
        has_encoder=True,
        can_teach=True,
    ),
    "baseline": Kind(
        title="baseline",
        command="wsikd teach",
        aside="trained without a teacher",
        is_evaluated=True,
        is_baseline=True,
        follows_splits=True,
        has_encoder=True,
        can_teach=True,
    ),
    "student": Kind(
        title="distilled student",
        command="wsikd distil",
        is_evaluated=True,
        learns_from="teacher",
        follows_splits=True,
        has_encoder=True,
        is_distilled=True,
        can_be_finetuned=True,
    ),
    "finetuned": Kind(
        title="fine-tuned student",
        command="wsikd finetune",
        is_evaluated=True,
        learns_from="student",
        follows_splits=True,
        has_encoder=True,
    ),
    "control": Kind(title="control", command="wsikd evaluate", is_evaluated=True, is_control=True),
    "pair": Kind(
        title="encoder of pairs",
        command="wsikd pair",
        records_learnt=True,
        has_encoder=True,
        has_branches=True,
    ),
    "probe": Kind(title="probe", command="wsikd probe"),
    "segment": Kind(
        title="nuclei segmenter",
        command="wsikd segment train",
        records_learnt=True,
        has_segmenter=True,
    ),
}
"""Method to kind, in the order in which people read them."""
