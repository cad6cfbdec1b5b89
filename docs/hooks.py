"""Bring pages that lie outside docs/ into the site, and turn links to files into links to pages.

A link is written so that it leads somewhere in the repository, from the file it stands in. mkdocs
knows pages only; what is no page, such as a Dockerfile, stays as text.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SOURCES = {
    "recipes.md": "pipelines/README.md",
    "how-to/containers.md": "docker/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page of the site to file of the repository."""

_LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for page, source in SOURCES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links to files into links to pages."""
    return relink(markdown, page.file.src_uri)


def relink(markdown: str, page: str) -> str:
    """Turn links to files of the repository into links from `page` to other pages."""
    source = PurePosixPath(SOURCES.get(page, f"docs/{page}"))
    pages = {file: name for name, file in SOURCES.items()}

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        place = os.path.normpath(source.parent / target)
        name = pages.get(place, place.removeprefix("docs/") if place.startswith("docs/") else None)
        if name is None:
            return f"`{text}`" if (ROOT / place).exists() else found[0]
        return f"[{text}]({os.path.relpath(name, PurePosixPath(page).parent)}{anchor})"

    return _LINK.sub(link, markdown)
