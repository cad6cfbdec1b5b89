"""What the pages for people say can be done: commands parse, settings are known, Python runs.

Blocks are told apart by their language: `sh` and none are for the shell, `python` is run, `yaml` is
settings or a recipe, `csv` a manifest, `text` is shown only. The tutorial is carried out as a whole
by tests/integration/test_tutorial.py.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from wsikd.cli import check_arguments
from wsikd.cli.commands import COMMANDS
from wsikd.cohort.manifest import read_manifest
from wsikd.recipes import Step, read_recipe

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "pipelines").glob("*.md"),
     *(ROOT / "docker").glob("*.md")]
)  # fmt: skip
GENERATED = ROOT / "docs" / "reference" / "commands.md"
LANGUAGES = {"sh", "", "python", "yaml", "csv", "text", "console", "bash"}


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.M | re.S)
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[1], found[2])
        for found in fence.finditer(text)
    ]


def named(block: Block) -> str:
    return f"{block.page.relative_to(ROOT)}:{block.line}"


BLOCKS = [block for page in PAGES if page != GENERATED for block in blocks_of(page)]
COMMAND_LINES = [
    pytest.param(line, id=f"{named(block)}-{line.partition('#')[0].strip()}")
    for block in BLOCKS
    if block.language in ("sh", "bash", "")
    for line in block.text.splitlines()
    if line.startswith("wsikd ")
]


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def test_there_are_blocks_of_every_kind():
    assert {block.language for block in BLOCKS} <= LANGUAGES
    assert len(COMMAND_LINES) > 50
    assert all(of(language) for language in ("python", "yaml", "csv"))


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_the_command_line_understands_what_a_page_says(line):
    # a variable of the shell stands for a number
    check_arguments(shlex.split(re.sub(r'"\$\w+"', "0", line), comments=True)[1:])


@pytest.mark.parametrize("block", of("yaml"), ids=named)
def test_settings_and_recipes_on_a_page_are_understood(block, tmp_path):
    found = yaml.safe_load(block.text)
    if "steps" in found:
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(block.text, encoding="utf-8")
        steps = read_recipe(recipe, COMMANDS)[1]
    else:
        assert found.keys() <= COMMANDS.keys()
        steps = [Step(0, name, options) for name, options in found.items()]
    for step in steps:
        lacks_it = step.command == "distil" and "student_mag" not in block.text
        required = ["--student-mag", "1.25"] if lacks_it else []
        check_arguments([*step.arguments, *required])


@pytest.mark.parametrize("block", of("csv"), ids=named)
def test_a_table_on_a_page_is_a_manifest(block, tmp_path):
    table = tmp_path / "slides.csv"
    table.write_text(block.text, encoding="utf-8")
    slides = tmp_path / "slides"
    slides.mkdir()
    named = [row.split(",")[0] for row in block.text.splitlines()[1:]]
    for name in named:  # an id, or the path of a picture
        file = tmp_path / name if "/" in name else slides / f"{name}.svs"
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert list(read_manifest(table, slides)["slide_id"]) == [Path(name).stem for name in named]


@pytest.mark.parametrize("page", [page for page in PAGES if page != TUTORIAL],
                         ids=lambda page: str(page.relative_to(ROOT)))  # fmt: skip
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks_of(page):
        if block.language == "python":
            exec(compile(block.text, named(block), "exec"), names)


def anchors_of(page: Path) -> set[str]:
    """Anchors as GitHub makes them: letters, digits, _ and -, blanks turned to -."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8"))
    for target, anchor in links:
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), target
        if anchor and place.suffix == ".md":
            assert anchor in anchors_of(place), f"{target}#{anchor}"


def test_the_readme_stays_short_and_names_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count("\n") <= 130
    rows = re.findall(r"^\| `(\w+)` \|", readme, flags=re.M)
    assert set(rows) == {name.split()[0] for name in COMMANDS}
