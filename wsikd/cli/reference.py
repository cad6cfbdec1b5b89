"""Write the page that describes every command and option, from the commands themselves.

Example: python -m wsikd.cli.reference docs/reference/commands.md
"""

import importlib
import sys
from pathlib import Path

from wsikd.cli import EXIT_STATUS, build_app
from wsikd.cli.commands import COMMANDS
from wsikd.files import write_text

_HEAD = f"""\
<!-- made by `make docs`; change the commands instead -->

# Commands

Every command takes `--workspace`. `wsikd COMMAND --help` shows the same in a terminal. Any option
but `--workspace` and `--gpus` can stand in `wsikd.yaml`, too; a flag that is typed goes first.

{EXIT_STATUS}

"""


def command_reference() -> str:
    """Return the page, in Markdown."""
    pages = build_app().generate_docs(output_format="markdown", heading_level=1)
    # from the first command on: what comes before repeats the page's own words
    page = _HEAD + pages[pages.index("## wsikd prepare") :].strip() + "\n"
    for name, line in COMMANDS.items():
        page = page.replace(
            f"\n{line}\n", f"\n{line} Example:\n\n```sh\n{_example(name)}\n```\n", 1
        )
    return page


def _example(name: str) -> str:
    """Return the example in the docstring of the command's module."""
    module = importlib.import_module(f"wsikd.cli.{name.partition(' ')[0]}")
    lines = (module.__doc__ or "").splitlines()
    examples = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    (example,) = [
        command
        for line in examples
        for command in line.split(" && ")
        if f"{command} ".startswith(f"wsikd {name} ")
    ]
    return example


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), command_reference())
