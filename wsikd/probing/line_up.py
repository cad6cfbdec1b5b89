"""Who takes part in a probe: the encoders asked for, and the controls of their patches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsikd.data.pairs import PAIRS, Shown, open_views
from wsikd.data.patches import PatchSettings, PatchSource, open_patches
from wsikd.errors import ConfigError, LeakageError
from wsikd.methods.pair_settings import PairSettings
from wsikd.models.weights import load_model
from wsikd.probing.candidates import Candidate
from wsikd.probing.encoders import (
    encoder_name,
    find_encoders,
    own_patches,
    patients_of_labels,
)
from wsikd.probing.frozen_encoder import random_control, trained_encoder
from wsikd.probing.labelled_patches import LabelledPatches, label_of
from wsikd.probing.plain_controls import colour_control, majority_control
from wsikd.probing.seen import compare_seen, refuse_shared
from wsikd.probing.settings import ProbeSettings
from wsikd.probing.supervised import SupervisedControl, SuperviseSettings
from wsikd.runs import RunFolder
from wsikd.workspace import Workspace

_DEALS = ("images", "test_images", "table")  # settings of patches that decide on their folds


@dataclass(frozen=True)
class LinedUp:
    """A candidate, and where it takes part.

    Attributes
    ----------
    candidate : Candidate
        Who answers.
    patches : LabelledPatches
        What it is asked about.
    folds : tuple of int or None
        The folds it is probed on.
    notes : tuple of str
        What a reader of its numbers should know.
    """

    candidate: Candidate
    patches: LabelledPatches
    folds: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def line_up(
    workspace: Workspace,
    names: Sequence[str],
    settings: ProbeSettings,
    patches: PatchSettings | None,
) -> tuple[list[LinedUp], list[str]]:
    """Line up the encoders of the runs named, then the controls of all patches of theirs.

    Parameters
    ----------
    workspace, names, settings, patches
        As of `wsikd.probing.probe.probe`.

    Returns
    -------
    lined_up : list of LinedUp
        Controls have the folds of the encoders they stand beside.
    notes : list of str
        Which runs are left out, which controls fit one run only of those that share them, and
        what is to be known of who has seen whom.
    """
    runs, notes = find_encoders(workspace.runs, names)
    opened = _Opened(workspace, settings, patches)
    encoders = [(run, opened.line_up(run)) for run in runs]
    controls: dict[str, LinedUp] = {}
    one = settings.of_run(None, 100.0)
    for run, encoder in encoders:
        for control in _controls(run, encoder.patches, settings):
            stem = control.identity.stem
            known = controls.setdefault(stem, LinedUp(control, encoder.patches, ()))
            if not known.patches.is_like(encoder.patches):
                notes.append(
                    f"{stem} is asked about the patches of another run, not those of {run.name}"
                )
                continue
            if known.candidate.settings_of(one) != control.settings_of(one):
                notes.append(f"{stem} is trained as another run was, not as {run.name}")
            folds = dict.fromkeys((*known.folds, *encoder.folds))
            controls[stem] = replace(known, folds=tuple(folds))
    notes += dict.fromkeys(note for _, encoder in encoders for note in encoder.notes)
    return [*(encoder for _, encoder in encoders), *controls.values()], notes


class _Opened:
    """Opens the patches of each run once, however many runs learnt from them."""

    def __init__(
        self, workspace: Workspace, settings: ProbeSettings, patches: PatchSettings | None
    ) -> None:
        self._workspace, self._settings, self._patches = workspace, settings, patches
        self._sources: dict[str, PatchSource] = {}
        self._labelled: dict[tuple[str, str], LabelledPatches] = {}

    def line_up(self, run: RunFolder) -> LinedUp:
        own = own_patches(run)
        wanted = own if self._patches is None else self._patches
        if not _alike(wanted, own, PatchSettings.model_fields) and self._settings.name is None:
            raise ConfigError(
                f"{run.path}: learnt from other patches than those to probe it on; give them a "
                "name for the runs with --name"
            )
        patches, made = self._open(run, wanted), run.read_provenance()
        same_folds = _alike(wanted, own, _DEALS)
        asked = made.fold if same_folds and made.fold is not None else self._settings.fold
        folds = patches.folds(asked)
        if self._settings.fold not in (None, *folds):
            folds = ()
        _refuse_taught(run, patients_of_labels(run, self._workspace), patches, folds)
        parts = [encoder_name(made, same_folds=same_folds), self._settings.name]
        stem = "-".join(filter(None, parts))
        model = run.model_path(self._settings.checkpoint, self._settings.branch)
        encoder = trained_encoder(patches, stem, model, made.seed, self._settings)
        notes = (
            *refuse_shared(patches, folds),
            *compare_seen(run, encoder.identity.stem, patches, folds),
        )
        return LinedUp(encoder, patches, folds, notes)

    def _open(self, run: RunFolder, wanted: PatchSettings) -> LabelledPatches:
        """Return the patches as the branch that is asked for sees them."""
        key = wanted.model_dump_json()
        if key not in self._sources:
            self._sources[key] = open_patches(wanted, self._workspace)
        source, branch = self._sources[key], self._settings.branch
        name = self._settings.name or label_of(wanted, source)
        view = name
        shown: Shown = source
        if run.read_provenance().kind.has_branches:
            paired = PairSettings(**run.read_settings()).model_copy(update=dict(wanted))
            if branch != "primary" or PAIRS[paired.pairing].is_routine:
                shown = open_views(paired, source)[branch]  # else other patches need no partner
            view = name if shown is source else f"{paired.pairing}-{name}"
        elif branch != "primary":
            raise ConfigError(f"{run.path}: has no privileged branch; --branch primary probes it")
        known = (key, shown.fingerprint)
        if known not in self._labelled:
            cache = self._workspace.cache
            self._labelled[known] = LabelledPatches(source, shown, name, view, cache)
        return self._labelled[known]


def _alike(first: PatchSettings, second: PatchSettings, fields: Iterable[str]) -> bool:
    """Tell whether settings agree, however paths are spelt."""
    pairs = [(getattr(first, name), getattr(second, name)) for name in fields]
    return all(
        one == other
        or (
            isinstance(one, Path) and isinstance(other, Path) and one.absolute() == other.absolute()
        )
        for one, other in pairs
    )


def _controls(
    run: RunFolder, patches: LabelledPatches, settings: ProbeSettings
) -> Iterator[Candidate]:
    yield colour_control(patches)
    yield majority_control(patches)
    seed = run.read_provenance().seed
    if "random" in settings.controls:
        _, description = load_model(run.model_path(settings.checkpoint, settings.branch))
        yield random_control(patches, description.architecture, seed, settings)
    if "supervised" in settings.controls and run.read_provenance().kind.has_branches:
        paired = PairSettings(**run.read_settings())
        yield SupervisedControl(patches, SuperviseSettings.like(paired))


def _refuse_taught(
    run: RunFolder, taught: set[str], patches: LabelledPatches, folds: Sequence[int | None]
) -> None:
    for fold in folds if taught else ():
        dealt = patches.deal(fold, 100, 0)
        tested = set(dealt.loc[dealt["split"] == "test", "patient_id"])
        if tested & taught:
            raise LeakageError(
                f"{run.path}: was taught from labels of patient {min(tested & taught)!r}, which "
                "it would be tested on; probe each fold's run on that fold, or other patches"
            )
