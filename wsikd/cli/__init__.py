"""The command `wsikd`: options generated from the settings, errors to one line and a status.

A command's module is imported only when that command is asked for, so `wsikd --help` is instant.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from inspect import BoundArguments
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter, Token, validators
from cyclopts.config import Dict
from pydantic import ValidationError

from wsikd import config  # not config.explain: a command has that name here
from wsikd.cli.commands import COMMANDS, GROUPS
from wsikd.cli.console import say
from wsikd.cli.settings_file import is_from_file, read_settings
from wsikd.cli.signals import heed_signals
from wsikd.cli.streams import CLOSED, find_broken, open_closed
from wsikd.cli.wording import one_line
from wsikd.errors import ConfigError, StoppedError, ToldError, WsikdError, exit_status_of
from wsikd.files import explain_file
from wsikd.memory import ran_out
from wsikd.terminal import is_plain, spell_out
from wsikd.versions import versions_text
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    from cyclopts.help import DefaultFormatter

_ITERABLES = Parameter(negative_iterable=(), consume_multiple=True)


def _whole_number(_kind: type, tokens: Sequence[Token]) -> int:
    """Convert an option; cyclopts would round 1.5."""
    value = tokens[0].value
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"must be a whole number, got {value!r}") from None


_AT_LEAST_ONE = Parameter(
    help="GPUs that share the work of teach, distil, finetune, pair or probe, a process for each",
    converter=_whole_number,
    validator=validators.Number(gte=1),
)

_IN_PROCESSES = ("teach", "distil", "finetune", "pair", "probe")
"""Commands that share their work if they are started in several processes."""

EXIT_STATUS = (
    "Exit status: 0 done, 1 a bug or what doctor found wrong, 2 usage or settings, 3 some slides "
    "failed, 4 nothing usable, 5 refused by a guard, 75 try again, 129, 130 or 143 stopped after a "
    "clean checkpoint, 141 the reader of the output has gone."
)
"""What the exit statuses mean, for the help and the page of the commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows `wsikd`; by default what the shell gave.
    """
    open_closed()
    spell_out(sys.stdout)
    spell_out(sys.stderr)
    heed_signals()
    try:
        status = _execute_and_say(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except OSError:
        broken = find_broken()
        if broken is None:  # a bug
            raise
        return _say_broken(broken)
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        return CLOSED  # rich, which writes the help, makes an end of its own
    return status


def execute(arguments: Sequence[str]) -> int:
    """Run one command; what it raises on purpose comes through as `WsikdError`."""
    return _launch(build_app(), arguments)


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what `execute` would refuse before it begins: a command or options it cannot parse."""
    _launch(build_app(parse_only=True), arguments)


def _execute_and_say(arguments: Sequence[str]) -> int:
    """Run one command and print what it raises on purpose as one line."""
    try:
        return execute(arguments)
    except ToldError as error:
        return error.exit_status
    except (WsikdError, StoppedError) as error:
        say(f"wsikd: {error}")
        return error.exit_status
    except OSError as error:
        if error.filename is None:  # no file's fault, so a standard stream's or a bug
            raise
        say(f"wsikd: {explain_file(error)}")
        return exit_status_of(error)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):  # a bug
            raise
        why = str(error).strip().partition("\n")[0]
        say(f"wsikd: memory ran out{': ' if why else ''}{why}; give it more, or less to do at once")
        return WsikdError.exit_status
    except KeyboardInterrupt as error:
        say("wsikd: interrupted; run the same command to go on")
        return exit_status_of(error)


def _say_broken(error: OSError) -> int:
    """Print why an output cannot be written, unless its reader has gone; return the status."""
    if isinstance(error, BrokenPipeError):
        return CLOSED
    with suppress(OSError):  # standard error may be as full
        say(f"wsikd: {explain_file(error)}")
    return WsikdError.exit_status


def build_app(*, parse_only: bool = False) -> App:
    """Declare the commands, without importing any; `parse_only` keeps them from being run."""
    app = App(
        name="wsikd",
        help=(
            "Find out how low a magnification is good enough for a question on whole-slide "
            "images, and get the model that reads slides there."
        ),
        help_epilogue=EXIT_STATUS,
        version=versions_text,
        version_format="plaintext",
        help_formatter=_help_formatter(),
        suppress_keyboard_interrupt=False,
        default_parameter=_ITERABLES,
    )
    app.meta.suppress_keyboard_interrupt = False  # it is told in `main`
    _declare(app)

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        workspace: Annotated[
            Path, Parameter(help="folder of slides.csv, regions/ and runs/")
        ] = Path(),
        gpus: Annotated[int, _AT_LEAST_ONE] = 1,
    ) -> object:
        place = Workspace(workspace)
        command, bound, left_to_us = _parse(app, tokens, place.settings)
        _refuse_processes(command.__module__.rpartition(".")[2], gpus)
        if parse_only:
            return 0
        if gpus > 1:
            from wsikd.cli.launcher import launch_processes  # noqa: PLC0415  with torch

            bound.apply_defaults()
            again = [*tokens, "--workspace", str(workspace)]
            return launch_processes(gpus, again, bound.arguments["settings"].device)
        ours = {"workspace": place} if "workspace" in left_to_us else {}
        return command(*bound.args, **bound.kwargs, **ours)

    return app


def _parse(
    app: App, tokens: Sequence[str], file: Path
) -> tuple[Callable[..., object], BoundArguments, Mapping[str, Any]]:
    """Return the command that is asked for, its arguments and those that it wants from us."""
    sections = read_settings(file)
    app.config = (Dict(sections, source=str(file)),)
    try:
        return app.parse_args(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        said = one_line(error)
        from_file = is_from_file(said, tokens, sections)
        raise ConfigError(f"{file}: {said}" if from_file else said) from None


def _help_formatter() -> "DefaultFormatter | None":
    if not is_plain(sys.stdout):
        return None
    from wsikd.cli.plain import plain_formatter  # noqa: PLC0415  rich takes a while

    return plain_formatter()


def _declare(app: App) -> None:
    """Add the commands, those of a group to an app of its own."""
    places = {
        group: App(name=group, help=line, default_parameter=_ITERABLES)
        for group, line in GROUPS.items()
    }
    for order, (name, line) in enumerate(COMMANDS.items()):
        module, function = name.split()[0], name.split()[-1]
        place = places.get(module, app)
        if place is not app and module not in app:
            place.sort_key = order
            app.command(place)
        place.command(f"wsikd.cli.{module}:{function}", name=function, help=line, sort_key=order)


def _launch(app: App, arguments: Sequence[str]) -> int:
    try:
        status = app.meta(
            list(arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        raise ConfigError(one_line(error)) from None
    except ValidationError as error:
        raise ConfigError(config.explain(error, as_option=True)) from None
    return status if isinstance(status, int) else 0


def _refuse_processes(command: str, gpus: int) -> None:
    """Refuse to do the same in each of several processes, where they would not share the work."""
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # set by torchrun
    if gpus > 1 and not alone:
        raise ConfigError("--gpus starts processes of its own; leave it out with torchrun")
    known = {name.split()[0] for name in COMMANDS}
    if command in _IN_PROCESSES or (alone and gpus == 1):
        return
    if command in known:
        remedy = "start it without torchrun" if gpus == 1 else "leave --gpus out"
        raise ConfigError(f"{command} runs in one process; {remedy}")
