"""Carry out a recipe: commands in order, skipping what is done.

Example: wsikd run demo
"""

from contextlib import chdir
from pathlib import Path

from wsikd.cli import check_arguments, execute
from wsikd.cli.console import InWorkspace, say, show
from wsikd.cli.footprints import Footprints
from wsikd.cli.recipe_files import find_recipe
from wsikd.recipes import Commands, Step, run_recipe
from wsikd.workspace import Workspace


def run(recipe: Path, /, *, dry_run: bool = False, workspace: InWorkspace) -> int:
    """Carry out a recipe: commands in order, skipping what is done.

    Parameters
    ----------
    recipe
        a YAML file, or the name of a recipe that comes with wsikd
    dry_run
        only show which commands would be carried out and which skipped
    """

    def tell(step: Step, skipped: bool) -> None:
        line = f"{'done' if skipped else 'run '}  {step}"
        show(line) if dry_run else say(line)

    path = find_recipe(recipe).absolute()
    commands = Commands(Footprints(), execute, check_arguments)
    workspace.root.mkdir(parents=True, exist_ok=True)
    with chdir(workspace.root):  # a recipe's paths are the workspace's
        expect = run_recipe(path, Workspace.here(), commands, tell, dry_run=dry_run)
    if expect and not dry_run:
        say(f"what you should see: {expect}")
    return 0
