"""The tutorial, carried out as it stands in docs/tutorial.md.

All of its numbers are in the wsikd.yaml of its first step. A test that used them would take ten
minutes, so it puts QUICK in their place; that the page's numbers are the demo's is tested apart.
"""

import re
import shlex
from pathlib import Path

import yaml

from wsikd.cli import main
from wsikd.cli.commands import COMMANDS
from wsikd.recipes import read_recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.M | re.S)
SETTINGS = yaml.safe_load(next(text for language, text in BLOCKS if language == "yaml"))
QUICK = """
draw: {slides: 9, auxiliary: 1, pieces: 1, piece_mm: [0.42, 0.45]}
prepare: {tissue.max_side_um: 600, workers: 0}
split: {fractions: [0.34, 0.33, 0.33]}
teach: {epochs: 1}
distil: {epochs: 1}
evaluate: {draws: 100}
"""


def test_every_step_of_the_tutorial_works_in_its_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("wsikd.yaml").write_text(QUICK, encoding="utf-8")
    names: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "docs/tutorial.md", "exec"), names)
        if language == "sh":
            for line in text.splitlines():
                assert main(_quick(shlex.split(line)[1:])) == 0, line
    shown = capsys.readouterr().out
    assert "10x: 5" in shown  # pixels of a region of 0.5 mm
    assert re.findall(r"^(\S+) +\d+ % of slides right$", shown, flags=re.M) == [
        "teacher-10x", "baseline-1.25x", "student-1.25x", "control-colour", "control-majority",
    ]  # fmt: skip
    assert "distilled student at 1.25x" in Path("report.html").read_text(encoding="utf-8")


def test_the_settings_of_the_tutorial_are_those_of_the_demo():
    demo = read_recipe(ROOT / "pipelines" / "demo.yaml", COMMANDS).steps
    steps: dict[str, dict[str, object]] = {}
    for step in demo:
        if "mag" in step.options:  # the baseline, whose command states what else it has
            told = {"mag": step.options["mag"], "epochs": step.options["epochs"]}
            assert "wsikd teach --mag {mag} --epochs {epochs}".format(**told) in PAGE
            assert {**step.options, **told} == {**steps["teach"], **told}
        else:
            steps[step.command] = dict(step.options)
    del steps["draw"]["folder"], steps["prepare"]["slides"]  # the page gives them by hand
    del steps["distil"]["student_mag"]
    assert {name: options for name, options in steps.items() if options} == SETTINGS


def _quick(arguments):
    """Leave the number of epochs to QUICK."""
    if "--epochs" not in arguments:
        return arguments
    place = arguments.index("--epochs")
    return arguments[:place] + arguments[place + 2 :]
