from pathlib import Path

import pytest

from wsikd.cli import COMMANDS
from wsikd.cli.reference import command_reference, with_reference
from wsikd.errors import ConfigError

README = Path(__file__).parents[3] / "README.md"


def test_the_readme_describes_the_commands_as_they_are():
    page = README.read_text(encoding="utf-8")
    assert with_reference(page, "README.md") == page, "run `make docs`"


def test_every_command_has_a_section_with_its_line():
    reference = command_reference()
    for name, line in COMMANDS.items():
        _, section = reference.split(f"### wsikd {name}\n")
        assert line in section.split("###")[0]


def test_a_page_without_marks_is_refused():
    with pytest.raises(ConfigError, match=r"page.md: needs the lines '<!-- command reference"):
        with_reference("# A page\n", "page.md")
