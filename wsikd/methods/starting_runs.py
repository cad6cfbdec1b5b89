"""Finished runs that another starts from: a student's teacher, the student to fine-tune."""

from pathlib import Path

from torch import Tensor

from wsikd.errors import CheckpointError, LeakageError
from wsikd.geometry import format_magnification
from wsikd.methods.making import how_to_make
from wsikd.methods.region_inputs import Inputs, MethodName
from wsikd.models import Network
from wsikd.models.weights import load_model
from wsikd.runs import KINDS, RunFolder, find_finished, find_of_fold, run_name
from wsikd.training.settings import TrainingSettings

_STARTS = (KINDS["pair"].command, KINDS["teacher"].command)
INIT_HELP = "run whose encoder the network starts from, such as one of wsikd pair; unset: random"


def find_source(
    runs: Path,
    name: str | None,
    method: MethodName,
    *,
    magnification: float,
    settings: TrainingSettings,
) -> RunFolder:
    """Find the finished run to start from, of the same fold.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    name : str or None
        Name of the run, with or without its fold; None: the one of `method`, `magnification` and
        the same seed, or else seed 0.
    method : str
        What kind of run it is by default.
    magnification : float
        What it reads by default.
    settings : TrainingSettings
        Of the run to be made, for its fold and seed.

    Raises
    ------
    CheckpointError
        If there is none, or it is not finished; the message names the command that makes it.
    """
    kind = KINDS[method]
    command = kind.command
    if kind.is_distilled:
        command += f" --student-mag {magnification:g}"  # which it cannot do without
    if name is not None:
        return find_of_fold(runs, name, settings.fold, how_to_make(name, command))
    seeds = dict.fromkeys((settings.seed, 0))
    names = [run_name(method, magnification, settings.fold, seed) for seed in seeds]
    return find_finished(runs, names, how_to_make(names[0], command))


def _encoder_tensors(model: Network) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if name[:3] != "fc."}


def check_source(source: RunFolder, inputs: Inputs, fold: int | None) -> None:
    """Refuse a run that learnt from slides the new one is tested on, or knows other classes.

    Raises
    ------
    LeakageError
        If it is of another fold or was made with other splits.
    CheckpointError
        If its classes are others.
    """
    made = source.read_provenance()
    if made.fold != fold:
        raise LeakageError(f"{source.path}: is of fold {made.fold}, not {fold}; choose another")
    if made.classes != inputs.classes:
        raise CheckpointError(
            f"{source.path}: knows the classes {', '.join(made.classes)}, "
            f"the manifest has {', '.join(inputs.classes)}; make it again"
        )
    if made.inputs.get("splits") != inputs.fingerprints()["splits"]:
        raise LeakageError(
            f"{source.path}: was made with other slides or splits than the manifest has; "
            "remove it and make it again"
        )


def start_from(
    model: Network, runs: Path, name: str, inputs: Inputs, settings: TrainingSettings
) -> RunFolder:
    """Load into a network the encoder of a finished run; its last layer stays as it is.

    Parameters
    ----------
    model : Network
        Changed in place.
    runs : Path
        Folder of all runs.
    name : str
        Of the run, with or without its folder and its fold.
    inputs : Inputs
        What the network is going to learn from and to be tested on.
    settings : TrainingSettings
        Of the run to be made, for its fold.

    Returns
    -------
    RunFolder
        The run; it is to be among the plan's sources, so that what it has seen is compared.

    Raises
    ------
    CheckpointError
        If there is no such run, it is not finished, or its architecture is another one.
    LeakageError
        If it follows splits, and is of another fold or was made with others.
    """
    source = find_of_fold(runs, name, settings.fold, how_to_make(name, *_STARTS))
    if source.read_provenance().kind.follows_splits:
        check_source(source, inputs, settings.fold)
    start, description = load_model(source.model_path())
    found, expected = _encoder_tensors(start), _encoder_tensors(model)
    if {key: tensor.shape for key, tensor in found.items()} != {
        key: tensor.shape for key, tensor in expected.items()
    }:
        raise CheckpointError(
            f"{source.path}: is a {description.architecture}, which is another architecture than "
            "the network that should start from it; choose another --init, or for a teacher "
            f"--model {description.architecture}"
        )
    model.load_state_dict(found, strict=False)
    return source


def kind_of(source: RunFolder) -> str:
    """Name the kind of a run, such as "a student at 2.5x"."""
    made = source.read_provenance()
    reads = "" if made.magnification is None else f" at {format_magnification(made.magnification)}"
    return f"a {made.method}{reads}"
