"""Write the command reference into a page, between two marks, from the commands themselves.

Example: python -m wsikd.cli.reference README.md
"""

import sys
from pathlib import Path

from wsikd.cli import build_app
from wsikd.errors import ConfigError
from wsikd.files import write_text

BEGIN = "<!-- command reference: made by `make docs` -->\n"
END = "<!-- end of the command reference -->\n"


def command_reference() -> str:
    """Describe every command and option in Markdown."""
    pages = build_app().generate_docs(output_format="markdown", heading_level=2)
    # from the first command on: what comes before repeats the page's own words
    return pages[pages.index("### wsikd prepare") :].strip() + "\n"


def with_reference(page: str, name: str) -> str:
    """Give the page with a fresh command reference.

    Raises
    ------
    ConfigError
        If the page lacks the marks.
    """
    if BEGIN not in page or END not in page:
        raise ConfigError(f"{name}: needs the lines {BEGIN.strip()!r} and {END.strip()!r}")
    before, after = page.split(BEGIN, 1)[0], page.split(END, 1)[1]
    return f"{before}{BEGIN}\n{command_reference()}\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_text(target, with_reference(target.read_text(encoding="utf-8"), str(target)))
