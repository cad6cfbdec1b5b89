"""What every command owes its user, also one that is added tomorrow."""

import importlib
import inspect
import shlex
import subprocess
import sys

import pytest

from wsikd.cli import build_app, main
from wsikd.cli.commands import COMMANDS, GROUPS


def module_of(command):
    return importlib.import_module(f"wsikd.cli.{command.split()[0]}")


def example_of(command):
    text = module_of(command).__doc__
    examples = [line for line in text.splitlines() if line.startswith("Example: ")]
    (words,) = [
        shlex.split(words)
        for line in examples
        for words in line.removeprefix("Example: ").split(" && ")
        if words.startswith(f"wsikd {command} ") or words == f"wsikd {command}"
    ]
    return words[1:]


def test_help_is_shown_without_importing_what_it_does_not_need():
    heavy = ("torch", "zarr", "pandas", "scipy", "skimage", "distributed", "matplotlib")
    code = (
        "import sys; from wsikd.cli import main; status = main(['--help']);"
        f"print([name for name in {heavy} if name in sys.modules], status)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[] 0"
    assert all(f" {name.split()[0]} " in shown.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
class TestEveryCommand:
    def test_shows_its_help(self, command, capsys):
        assert main([*command.split(), "--help"]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert shown.startswith(f"Usage: wsikd {command}")
        assert COMMANDS[command] in shown
        assert "--workspace" in shown

    def test_is_listed_with_the_first_line_of_its_own_description(self, command):
        first, last = command.split()[0], command.split()[-1]
        module = module_of(command)
        described = [
            inspect.getdoc(part).splitlines()[0] for part in (module, getattr(module, last))
        ]
        assert described[1] == COMMANDS[command]
        assert described[0].startswith(GROUPS.get(first, COMMANDS[command]).rpartition(":")[0])

    def test_has_an_example_that_its_options_understand(self, command):
        parsed, _, _ = build_app().parse_args(
            _without_workspace(example_of(command)), exit_on_error=False, print_error=False
        )
        assert (parsed.__module__, parsed.__name__) == (
            module_of(command).__name__,
            command.split()[-1],
        )

    def test_describes_every_option(self, command, capsys):
        main([*command.split(), "--help"])
        lines = capsys.readouterr().out.splitlines()
        rows = [line.strip("│ ") for line in lines if line.startswith("│ --")]
        assert [row for row in rows if len(row.split()) < 3] == []

    def test_refuses_an_option_it_does_not_have_by_name(self, command, capsys):
        assert main([*example_of(command), "--colour", "x"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("wsikd: Unknown option: --colour.")
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "most"),
    [
        ("prepare slides", 1024),  # processes
        ("teach", 256),  # threads
        ("distil --student-mag 1.25", 256),
        ("finetune --student-mag 1.25", 256),
        ("plan teach", 256),
        ("plan distil --student-mag 1.25", 256),
        ("plan finetune --student-mag 1.25", 256),
    ],
)
def test_more_workers_than_a_machine_has_are_refused(command, most, tmp_path, capsys):
    where = ["--workspace", str(tmp_path)]
    for count in (most + 1, 100_000):
        assert main([*command.split(), "--workers", str(count), *where]) == 2
        said = capsys.readouterr().err
        assert said == f"wsikd: --workers must be at most {most}, got '{count}'\n"
    build_app().parse_args([*command.split(), "--workers", str(most)], exit_on_error=False)


def _without_workspace(options):
    if "--workspace" not in options:
        return options
    at = options.index("--workspace")
    return options[:at] + options[at + 2 :]
