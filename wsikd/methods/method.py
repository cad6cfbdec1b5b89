"""What a method fills in: what it makes of a fold, and what is trained then."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from wsikd.models import Network
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds.regions import Needless, Variation, needs_all
from wsikd.training.machine import Machine
from wsikd.training.trainee import Step

if TYPE_CHECKING:
    from wsikd.methods.region_inputs import MethodName
    from wsikd.runs import RunFolder


class Part(NamedTuple):
    """A network that a training computes, and of what.

    Attributes
    ----------
    role : str
        What it is for: teacher, student, or the kind of the run.
    architecture : str
        Key of `MODELS`.
    magnification : float
        Of the regions that it reads.
    learns : bool
        Whether it does, beyond its last layer.
    views : int, optional
        Of each region, that it is asked about once; without it reads all regions in every epoch.
    """

    role: str
    architecture: str
    magnification: float
    learns: bool = True
    views: int | None = None

    @property
    def is_trained(self) -> bool:
        """Whether a layer of it learns, be it the last alone; of a student's teacher none does."""
        return self.learns or self.role != "teacher"


def live_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the networks that are computed in every step."""
    return tuple(part for part in parts if part.views is None)


@dataclass(frozen=True)
class Method:
    """What is trained, from what and by which loss.

    Attributes
    ----------
    model : Network
        What is trained.
    description : ModelDescription
        What it is and reads.
    step : callable
        The method's loss; see `Learner`.
    views : mapping of str to ModelDescription
        The images `step` asks for, each described by the model that reads it.
    variation : Variation, optional
        How training images are varied; by the settings' augmentation unless stated.
    needless : callable
        Names the views that need not be read any more of some items of validation.
    """

    model: Network
    description: ModelDescription
    step: Step
    views: Mapping[str, ModelDescription]
    variation: Variation | None = None
    needless: Needless = needs_all


@dataclass(frozen=True)
class Plan:
    """What a method makes of one fold, before anything is trained.

    Attributes
    ----------
    kind : str
        What kind of run it is; the run's name begins so.
    magnification : float
        That the trained network reads.
    fingerprints : dict of str to str
        Hashes of what it starts from; a run that exists with others is refused.
    method : callable
        Builds what is trained, on a machine; asked only if the run is not finished.
    sources : dict of str to RunFolder
        The runs among what it starts from or learns from, by their key among the fingerprints.
        What they have seen is not to be tested on.
    unrelated : bool
        Whether the user vouches for images of theirs that cannot be traced to a patient.
    learns_from : tuple of str
        The splits it learns from.
    parts : tuple of Part
        The networks that it computes, what is trained first.
    """

    kind: "MethodName"
    magnification: float
    fingerprints: dict[str, str]
    method: Callable[[Machine], Method]
    sources: "dict[str, RunFolder]" = field(default_factory=dict)
    unrelated: bool = False
    learns_from: tuple[str, ...] = ("train",)
    parts: tuple[Part, ...] = ()

    @property
    def live(self) -> tuple[Part, ...]:
        """The networks that are computed in every step."""
        return live_parts(self.parts)
