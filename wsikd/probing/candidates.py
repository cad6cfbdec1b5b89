"""Who answers a probe: what an encoder, and a control it is held against, have in common.

Encoders are in `frozen_encoder`, controls without a network in `plain_controls`, and the one that
is trained from labels in `supervised`. `line_up` puts them together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import pandas as pd

from wsikd.config import Settings
from wsikd.evaluation.metrics import Floats
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import RunFolder


@dataclass(frozen=True)
class Identity:
    """What the names and records of a candidate's runs hold of it.

    Attributes
    ----------
    stem : str
        How the names of its runs begin.
    how : tuple of str
        Parts of those names that tell how it answers.
    seed : int
        Which of several alike it is.
    is_control : bool
        Whether others are compared with it.
    inputs : mapping of str to str
        Fingerprints of what it was made from, beside the patches.
    """

    stem: str
    how: tuple[str, ...] = ()
    seed: int = 0
    is_control: bool = True
    inputs: Mapping[str, str] = field(default_factory=dict)


class Answer(NamedTuple):
    """What a candidate answers, and what that costs.

    Attributes
    ----------
    probabilities : ndarray of float, shape (patches, K)
        Of all labelled patches, in their order.
    gmacs : float
        Cost of reading one patch, in 10^9 multiply-accumulate operations.
    """

    probabilities: Floats
    gmacs: float


class Answering(Protocol):
    """Answers for one fold and share after another, and keeps what all of them need."""

    def __call__(self, dealt: pd.DataFrame, run: RunFolder, asked: ProbeSettings) -> Answer | None:
        """Return the answer of one run; may leave a model in its folder.

        Parameters
        ----------
        dealt : DataFrame
            From `LabelledPatches.deal`: which patches are learnt from.
        run : RunFolder
            Started with `Candidate.settings_of(asked)`.
        asked : ProbeSettings
            Those of one run.

        Returns
        -------
        Answer or None
            Of several processes all are asked; the others may help, and the first answers.
        """


class Candidate(Protocol):
    """Classifies patches after learning from the training patches. It holds nothing large."""

    @property
    def identity(self) -> Identity:
        """What it is called and made from."""

    def settings_of(self, asked: ProbeSettings) -> Settings:
        """Return the settings that matter to it, for the record of one run."""

    def begin(self) -> Answering:
        """Return what answers. What that has read is free again once nobody refers to it."""
