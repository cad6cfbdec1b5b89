from pathlib import Path

from wsikd.cli.commands import COMMANDS
from wsikd.cli.reference import command_reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "commands.md"


def test_the_page_describes_the_commands_as_they_are():
    assert PAGE.read_text(encoding="utf-8") == command_reference(), "run `make docs`"


def test_every_command_has_a_section_with_its_line_and_an_example():
    reference = command_reference()
    for name, line in COMMANDS.items():
        _, section = reference.split(f"# wsikd {name}\n")
        own = section.split("##")[0]
        assert line in own
        assert f"\n```sh\nwsikd {name}" in own
