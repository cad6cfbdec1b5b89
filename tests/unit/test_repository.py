"""Files around the code that say the same thing in several places."""

import re
from pathlib import Path

import yaml

import wsikd

ROOT = Path(__file__).parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_version_that_is_cited_is_the_newest_of_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(\d[\d.]+)\] - (\S+)$", changelog, flags=re.M)[0]
    assert newest == (CITATION["version"], str(CITATION["date-released"]))
    assert wsikd.__version__ == CITATION["version"]


def test_the_papers_of_the_recipes_are_cited():
    cited = {one["value"] for paper in CITATION["references"] for one in paper["identifiers"]}
    guide = (ROOT / "pipelines" / "README.md").read_text(encoding="utf-8")
    assert cited == set(re.findall(r"\[(arXiv:[\d.]+)\]", guide)) - {"arXiv:2409.11546"}


def test_hooks_before_a_commit_are_of_this_environment():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    sources = yaml.safe_load(text)["repos"]
    assert [source["repo"] for source in sources] == ["local"]
    assert all(hook["entry"].startswith(".venv/bin/") for hook in sources[0]["hooks"])
