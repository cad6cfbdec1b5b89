"""The site as `make docs` builds it: without warnings, without network, with all that is public."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import wsikd

ROOT = Path(__file__).parents[2]
ROOMS = ["wsikd"] + [
    module.name
    for module in pkgutil.walk_packages(wsikd.__path__, "wsikd.")
    if module.ispkg and module.name != "wsikd.cli"
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Build the site strictly: a broken link, anchor or docstring ends it with status 1."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def described(site) -> set[str]:
    """Names that the Python pages describe, by their anchors."""
    pages = site.glob("reference/python*.html")
    return {
        name
        for page in pages
        for name in re.findall(r'id="(wsikd[\w.]*)"', page.read_text(encoding="utf-8"))
    }


class Loaded(HTMLParser):
    """Collects what a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        wanted = named.get("href") if tag == "link" and named.get("rel") != "canonical" else None
        self.addresses += filter(None, [wanted, named.get("src")])


def test_pages_load_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert loaded.addresses
        assert [address for address in loaded.addresses if re.match(r"(\w+:)?//", address)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_that_a_room_exports_is_described(room, described):
    names = {f"{room}.{name}" for name in getattr(importlib.import_module(room), "__all__", [])}
    assert room in described, f"add `::: {room}` to a page of docs/reference"
    assert names - described == set(), "a constant needs a docstring below it"


def test_fields_of_settings_are_described_with_unit_range_and_default(site):
    page = (site / "reference" / "python-pixels.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert "smallest piece of tissue that is kept, in mm² (at least 0, default 0.1)" in text
    assert "share of the glass's light that tissue takes away at least (above 0, below 1," in text


def test_sources_of_the_site_are_not_part_of_it(site):
    assert list(site.rglob("*.py")) == []
    assert list(site.rglob("*.md")) == []
