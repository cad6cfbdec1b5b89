"""The failure cookbook quotes messages as the code has them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COOKBOOK = (ROOT / "docs" / "how-to" / "failures.md").read_text(encoding="utf-8")
QUOTED = [
    line
    for block in re.findall(r"^```text\n(.*?)^```", COOKBOOK, flags=re.M | re.S)
    for line in block.splitlines()
]


def templates():
    """Every text of the code, with … for what is put in."""
    for path in sorted((ROOT / "wsikd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(getattr(part, "value", "…") if isinstance(part, ast.Constant) else "…"
                              for part in node.values)  # fmt: skip
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(templates())


def fits(quoted: str, text: str) -> bool:
    """Whether a text has the fragments of a quoted message, in their order."""
    fragments = [part.strip(" :;,()") for part in quoted.split("…")]
    return bool(re.search(".*".join(re.escape(part) for part in fragments if part), text, re.S))


def test_there_are_messages():
    assert len(QUOTED) > 40
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_in_the_code(quoted, texts):
    assert any(fits(quoted, text) for text in texts)


def test_a_message_that_is_not_in_the_code_would_be_noticed(texts):
    assert not any(fits("…: no µm per pixel known…; guess it with --mpp", text) for text in texts)
