"""Write the page that describes every command and option, from the commands themselves.

Example: python -m wsikd.cli.reference docs/reference/commands.md
"""

import sys
from pathlib import Path

from wsikd.cli import build_app
from wsikd.files import write_text

_HEAD = """\
<!-- made by `make docs`; change the commands instead -->

# Commands

Every command takes `--workspace`. `wsikd COMMAND --help` shows the same in a terminal. Any option
can stand in `wsikd.yaml`, too; a flag on the command line goes before it.

Exit status: 0 done, 1 a bug, 2 usage or settings, 3 some slides failed, 4 nothing usable, 5 refused
by a guard, 75 try again, 130 or 143 stopped after a clean checkpoint.

"""


def command_reference() -> str:
    """Return the page, in Markdown."""
    pages = build_app().generate_docs(output_format="markdown", heading_level=1)
    # from the first command on: what comes before repeats the page's own words
    return _HEAD + pages[pages.index("## wsikd prepare") :].strip() + "\n"


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), command_reference())
