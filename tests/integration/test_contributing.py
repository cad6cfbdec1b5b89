"""The five changes of CONTRIBUTING.md, made in a copy of the tree as it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANGES = Path(__file__).parent / "changes"
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (a .+?) \| (.+) \|$", PAGE, flags=re.M))

MITCHELL = """
def _mitchell(x: Weights) -> Weights:
    x = np.abs(x)
    inner = (21 * x - 36) * x * x + 16
    outer = ((-7 * x + 36) * x - 60) * x + 32
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))


class Kernel("""
AVERAGE = """
def _average(teacher_map: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_avg_pool2d(teacher_map, size)


RESIZINGS:"""

ASKED = ("prepare", "info", "pair", "distil")
HELP = """
import sys
from wsikd.cli import main
for command in sys.argv[1:]:
    print(end="\\f", flush=True)
    main([command, "--help"])
"""

# name of the change: name of what is added, new files, text inserted into old ones
MADE = {
    "a slide reader": (
        "pages",
        {"wsikd/slides/pages.py": CHANGES / "pages.py"},
        {"wsikd/slides/__init__.py": [
            ("READERS: dict[str, ReaderPlace] = {\n",
             '    "pages": ReaderPlace("wsikd.slides.pages:PagesReader", "tifffile"),\n'),
        ]},
    ),
    "a resampling kernel": (
        "mitchell",
        {},
        {"wsikd/pyramid/kernels.py": [
            ("KERNELS: dict[str, Kernel] = {\n", '    "mitchell": Kernel(2.0, _mitchell),\n'),
        ]},
    ),
    "a distillation loss": (
        "average",
        {},
        {"wsikd/losses/distillation.py": [
            ("RESIZINGS: dict[str, Resizing] = {\n", '    "average": _average,\n'),
            ("FEATURE_MAP_LOSSES: dict[str, dict[str, float]] = {\n",
             '    "average": {"average": 1.0},\n'),
        ]},
    ),
    "a pairing": (
        "grey",
        {"wsikd/data/pairs/grey.py": CHANGES / "grey.py"},
        {"wsikd/data/pairs/settings.py": [
            ("PAIRS: dict[str, Pairing] = {\n",
             '    "grey": Pairing("wsikd.data.pairs.grey:GreyPartner", is_routine=True),\n'),
        ]},
    ),
    "a command": (
        "count",
        {"wsikd/cli/count.py": CHANGES / "count.py"},
        {"wsikd/cli/commands.py": [
            ("COMMANDS = {\n", '    "count": "Count the slides of each class.",\n'),
        ]},
    ),
}  # fmt: skip
FUNCTIONS = {
    "wsikd/pyramid/kernels.py": ("\nclass Kernel(", MITCHELL),
    "wsikd/losses/distillation.py": ("\nRESIZINGS:", AVERAGE),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Copy the project and make all five changes in the copy."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("wsikd", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for _, new, old in MADE.values():
        for path, example in new.items():
            shutil.copy(example, tree / path)
        for path, lines in old.items():
            for before, line in lines:
                insert(tree / path, before, before + line)
    for path, (before, function) in FUNCTIONS.items():
        insert(tree / path, before, function)
    return tree


def insert(path, before, after):
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")


def carry_out(tree, *arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def helped(tree):
    """Return what commands say of themselves, asked in one process."""
    shown = carry_out(tree, "-c", HELP, *ASKED).stdout.split("\f")[1:]
    texts = (" ".join(re.sub("[│╭╮╰╯─]", " ", text).split()) for text in shown)
    return dict(zip(ASKED, texts, strict=True))


@pytest.fixture(scope="module")
def outcomes(tree):
    """Run the tests that the page names; return each outcome with its file and name."""
    files = sorted({name for row in ROWS.values() for name in re.findall(r"tests/\S+\.py", row)})
    added = " or ".join(name for name, *_ in MADE.values())
    done = carry_out(tree, "-m", "pytest", *files, "-k", added, "-rA", "-p", "no:cacheprovider")
    return re.findall(r"^(PASSED|FAILED|ERROR) (tests/[^\s:]+)::(\S+)", done.stdout, flags=re.M)


def test_the_page_walks_through_five_changes():
    assert ROWS.keys() == MADE.keys()


@pytest.mark.parametrize("change", MADE)
class TestEveryChange:
    def test_touches_the_files_that_the_page_names(self, change):
        _, new, old = MADE[change]
        touched = {re.sub(r"\w+\.py$", "<name>.py", path) for path in new} | set(old)
        named = set(re.findall(r"`(wsikd/[^`]+\.py)`", ROWS[change]))
        assert named == touched

    def test_is_tried_by_the_tests_that_were_there(self, outcomes, change):
        added, *_ = MADE[change]
        files = re.findall(r"tests/\S+\.py", ROWS[change])
        own = re.compile(rf"\[(.*-)?{added}(-.*)?\]")
        tried = [(how, name) for how, file, name in outcomes if file in files and own.search(name)]
        assert len(tried) >= 5
        assert [name for how, name in tried if how != "PASSED"] == []


@pytest.mark.parametrize(
    ("command", "option", "added"),
    [
        ("prepare", "--reader", "pages"),
        ("info", "--reader", "pages"),
        ("prepare", "--pyramid.kernel", "mitchell"),
        ("pair", "--kernel", "mitchell"),
        ("distil", "--loss", "average"),
        ("pair", "--pairing", "grey"),
    ],
)
def test_what_is_added_is_a_choice_of_its_option(helped, command, option, added):
    (choices,) = re.findall(rf"{option} CHOICE .*?\[choices: (.*?)\]", helped[command])
    assert added in choices.split(", ")


def test_the_command_is_listed_and_works(tree, tmp_path):
    (tmp_path / "slides.csv").write_text(
        "slide_id,patient_id,path,label\n1,1,1,b\n2,2,2,a\n3,3,3,b\n"
    )
    assert "Count the slides of each class." in carry_out(tree, "-m", "wsikd", "--help").stdout
    shown = carry_out(tree, "-m", "wsikd", "count", "--workspace", str(tmp_path))
    assert (shown.stdout, shown.returncode) == ("a: 1 slides\nb: 2 slides\n", 0)
