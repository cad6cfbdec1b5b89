"""The runs whose encoders are probed: which there are, which patches and patients they know."""

from collections.abc import Sequence
from pathlib import Path

from wsikd.cohort.manifest import read_manifest
from wsikd.cohort.splits import splits_of_fold
from wsikd.data.patches import PatchSettings
from wsikd.errors import CheckpointError, ConfigError, LeakageError
from wsikd.methods.making import how_to_make
from wsikd.methods.region_inputs import read_inputs
from wsikd.runs import Provenance, RunFolder, is_pattern, pooled_name, runs_called
from wsikd.store import RegionStore
from wsikd.workspace import Workspace


def find_encoders(runs: Path, names: Sequence[str]) -> tuple[list[RunFolder], list[str]]:
    """Find finished runs that have an encoder.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    names : sequence of str
        Of the runs, with or without folder and fold, or patterns such as "pair-*".

    Returns
    -------
    found : list of RunFolder
        In the order of the names, each once.
    left_out : list of str
        One sentence for each run that matches a pattern and is not finished.

    Raises
    ------
    CheckpointError
        If a run does not exist or is not finished.
    ConfigError
        If a run has no encoder of its own.
    """
    found: dict[str, RunFolder] = {}
    left_out = []
    for name in names:
        matched = runs_called(runs, name)
        if not matched:
            remedy = how_to_make(name, "wsikd pair", "wsikd teach")
            raise CheckpointError(f"{runs / Path(name).name}: no such run; {remedy}")
        for run in matched:
            refusal = _refusal(run)
            if refusal is None:
                found[run.name] = run
            elif not is_pattern(name):
                raise refusal
            elif isinstance(refusal, CheckpointError):
                left_out.append(f"{run.name} is left out, as it is not finished")
    return list(found.values()), left_out


def own_patches(run: RunFolder) -> PatchSettings:
    """Return the patches that a run learnt from; for a run on regions, all at its magnification."""
    made = run.read_provenance()
    if not made.kind.has_branches:
        return PatchSettings(mag=made.magnification)
    values = run.read_settings()
    return PatchSettings(**{name: values[name] for name in PatchSettings.model_fields})


def patients_of_labels(run: RunFolder, workspace: Workspace) -> set[str]:
    """Name the patients that a run was taught on or chosen by, from the workspace's manifest.

    Raises
    ------
    LeakageError
        If the manifest has other splits than the run was made with, so that nobody can tell.
    """
    made = run.read_provenance()
    if not made.kind.follows_splits:
        return set()
    manifest = read_manifest(workspace.manifest)
    inputs = read_inputs(RegionStore(workspace.store), manifest, made.fold)
    if made.inputs.get("splits") != inputs.fingerprints()["splits"]:
        raise LeakageError(
            f"{run.path}: was made with other slides or splits than {workspace.manifest} has; "
            "probe it with the manifest it was made with"
        )
    table = splits_of_fold(manifest, made.fold)
    return set(table.loc[~table["split"].isin(("test", "")), "patient_id"])


def encoder_name(made: Provenance, *, same_folds: bool) -> str:
    """Name an encoder in the names of its probes.

    On patches with the folds it was trained with, an encoder of fold k is probed on fold k, and
    all folds make one probe. On others, each fold's encoder is probed on all of them.

    Examples
    --------
    >>> made = Provenance(name="pair-x-fold1-seed2", method="pair", classes=(), fold=1)
    >>> encoder_name(made, same_folds=True), encoder_name(made, same_folds=False)
    ('pair-x-seed2', 'pair-x-fromfold1-seed2')
    """
    if same_folds or made.fold is None:
        return pooled_name(made.name)
    return made.name.replace(f"-fold{made.fold}", f"-fromfold{made.fold}")


def _refusal(run: RunFolder) -> ConfigError | CheckpointError | None:
    """Return why a run cannot be probed; None if it can."""
    made = run.read_provenance()
    if not made.kind.has_encoder:
        return ConfigError(f"{run.path}: is a {made.method}; name a run with an encoder")
    if made.status != "complete":
        return CheckpointError(f"{run.path}: is not finished; go on with its command")
    return None
