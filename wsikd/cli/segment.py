"""Find nuclei without labels: train a small network on images or slides, apply it, score it.

Example: wsikd segment train images/ && wsikd segment apply images/
Example: wsikd segment evaluate --labelled monuseg/ --figure nuclei.png
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wsikd.cli.console import Flat, InWorkspace, say, show, show_tables, tell_runs
from wsikd.data.fields.inputs import list_inputs
from wsikd.errors import ConfigError, NothingUsableError
from wsikd.evaluation import Footnotes
from wsikd.nuclei.apply import ApplySettings, apply_segmenter, refuse_failures
from wsikd.nuclei.learn.inputs import gather
from wsikd.nuclei.learn.segment import segment as learn
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.objects import ObjectSettings
from wsikd.nuclei.score.evaluate import (
    EvaluateSegmentersSettings,
    evaluate_segmenters,
    examine,
)
from wsikd.nuclei.score.figure import draw_nuclei
from wsikd.nuclei.score.seeds import segmenter_differences, segmenter_summary
from wsikd.nuclei.score.sets import open_nuclei_set, split_images
from wsikd.nuclei.trained import Segmenter, open_segmenter
from wsikd.recipes import Footprint
from wsikd.runs import RunFolder, find_run, find_runs
from wsikd.training.device import choose_device
from wsikd.workspace import Workspace

Inputs = Annotated[tuple[Path, ...], Parameter(negative=(), show_default=False)]

_TRAIN = "train it by wsikd segment train"
_DRAWN = 4  # images in the figure


FOOTPRINTS = {
    "segment train": Footprint(reads=("slides.csv", "regions/*/slide.json")),
    "segment apply": Footprint(
        reads=("slides.csv", "regions/*/slide.json"),
        runs=("run",),
        default_kinds=("segment",),
        writes=("runs/*/segmented.csv",),
    ),
    "segment evaluate": Footprint(
        runs=("runs",),
        default_kinds=("segment",),
        writes=("runs/segment-metrics.json",),
        outputs=("figure",),
    ),
}


def train(
    inputs: Inputs = (),
    *,
    labelled: Path | None = None,
    settings: Annotated[SegmentSettings, Flat] = SegmentSettings(),
    workspace: InWorkspace,
) -> int:
    """Train a nuclei segmenter without labels.

    Parameters
    ----------
    inputs
        images or slides, folders of them, or a region store; unset: the workspace's regions
    labelled
        labelled set whose training images are learnt from; labels are not read unless they select
    """
    gathered = gather(inputs, labelled, settings, workspace, say)
    say(f"{len(gathered.fields)} images or regions of {len(gathered.inputs)} files")
    tell_runs([learn(*gathered, workspace.runs, settings)])
    return 0


def apply(
    inputs: Inputs = (),
    *,
    run: str | None = None,
    device: str = "auto",
    settings: Annotated[ApplySettings, Flat] = ApplySettings(),
    workspace: InWorkspace,
) -> int:
    """Find the nuclei of images, slides or regions, as labels and for QuPath.

    Parameters
    ----------
    inputs
        images or slides, folders of them, or a region store; unset: the workspace's regions
    run
        name of the trained segmenter, into whose folder results go; unset: the only one
    device
        such as cpu or cuda:1; auto: a GPU if there is one
    """
    folder = _find_segmenter(workspace, run)
    segmenter = open_segmenter(folder)
    found = list_inputs(inputs, workspace)
    on = str(choose_device(device))
    outcomes = apply_segmenter(segmenter, folder.path, found, settings, say, device=on)
    show(str(folder.path / "segmented.csv"))
    refuse_failures(outcomes, folder.path / "segmented.csv")
    return 0


def evaluate(
    *,
    labelled: Path,
    runs: tuple[str, ...] = (),
    figure: Path | None = None,
    objects: Annotated[ObjectSettings, Flat] = ObjectSettings(),
    settings: Annotated[EvaluateSegmentersSettings, Flat] = EvaluateSegmentersSettings(),
    workspace: InWorkspace,
) -> int:
    """Score segmenters on the test images of a labelled set, beside controls.

    Parameters
    ----------
    labelled
        labelled set: MoNuSeg, CoNSeP, TNBC, a table labels.csv, or folders images and instances
    runs
        names of trained segmenters; unset: all
    figure
        PNG of some test images: image, confidence, nuclei found, true nuclei
    """
    images = open_nuclei_set(labelled)
    segmenters = _open_segmenters(workspace, runs)
    on = choose_device(settings.device)
    metrics = evaluate_segmenters(segmenters, images, workspace.runs, objects, settings, on)
    footnotes = Footnotes()
    tables = (
        segmenter_summary(metrics.segmenters, footnotes),
        segmenter_differences(metrics.differences, footnotes),
    )
    show_tables(*tables, footnotes=footnotes.lines)
    for note in metrics.notes:
        say(note)
    if figure is not None:
        tested = [one for one in split_images(images, settings.split_seed) if one.split == "test"]
        draw_nuclei([examine(segmenters[0], one, objects, on) for one in tested[:_DRAWN]], figure)
        show(str(figure))
    return 0


def _open_segmenters(workspace: Workspace, names: tuple[str, ...]) -> list[Segmenter]:
    named = [find_run(workspace.runs, name, _TRAIN) for name in names]
    return [open_segmenter(run) for run in named or _list_segmenters(workspace)]


def _find_segmenter(workspace: Workspace, name: str | None) -> RunFolder:
    if name is not None:
        return find_run(workspace.runs, name, _TRAIN)
    found = _list_segmenters(workspace)
    if len(found) > 1:
        names = ", ".join(run.name for run in found)
        raise ConfigError(f"--run must name one of several segmenters: {names}")
    return found[0]


def _list_segmenters(workspace: Workspace) -> list[RunFolder]:
    found = [run for run in find_runs(workspace.runs) if run.read_provenance().kind.has_segmenter]
    if not found:
        raise NothingUsableError(
            f"{workspace.runs}: holds no segmenter; train one by wsikd segment train"
        )
    return found
