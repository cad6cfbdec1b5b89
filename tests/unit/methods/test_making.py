import re

import pytest

from wsikd.cli import build_app
from wsikd.methods.making import how_to_make
from wsikd.runs import run_name

TEACH, PAIR, DISTIL = "wsikd teach", "wsikd pair", "wsikd distil --student-mag 2.5"


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("teacher-10x", [TEACH]),
        ("teacher-20x-fold2", [TEACH]),
        ("teacher-10x-seed3", [PAIR, TEACH]),
        ("baseline-1.25x-fold0-seed12", [TEACH]),
        ("teacher-5x", [TEACH]),  # by its role alone, as is the next
        ("baseline-10x", [TEACH]),
        ("student-2.5x-seed1", [DISTIL]),
        ("student-1.25x", [DISTIL]),
    ],
)
def test_the_command_makes_the_run_of_a_usual_name(name, commands):
    (command,) = re.findall("`(.*?)`", how_to_make(f"runs/{name}", *commands))
    parsed, bound, _ = build_app().parse_args(command.split()[1:], exit_on_error=False)
    bound.apply_defaults()
    settings = bound.arguments["settings"]
    if parsed.__name__ == "teach":
        kind, reads = settings.kind, settings.mag
    else:
        kind, reads = "student", settings.magnification
    assert settings.name is None
    assert run_name(kind, reads, settings.fold, settings.seed) == name


@pytest.mark.parametrize("name", ["nope", "my-teacher-10x", "nope-seed0", "teacher-10x-seed0"])
@pytest.mark.parametrize("fold", [None, 1])
def test_any_other_name_is_given_by_every_command_that_could_make_the_run(name, fold):
    made = re.findall("`(.*?)`", how_to_make(run_name(name, fold=fold), PAIR, TEACH, DISTIL))
    assert [command.partition(" --name")[0] for command in made] == [PAIR, TEACH, DISTIL]
    for command in made:
        chosen = ["--pairing", "crop_pad"] if command.startswith(PAIR) else []  # the user's choice
        words = command.split()[1:] + chosen
        _, bound, _ = build_app().parse_args(words, exit_on_error=False)
        settings = bound.arguments["settings"]
        assert (settings.name, settings.fold) == (name, fold)


@pytest.mark.parametrize("name", ["student-1.25x", "finetuned-5x-fold1", "my teacher", "-x", "p*"])
def test_a_name_that_no_run_that_would_do_has_gets_no_command(name):
    assert how_to_make(name, PAIR, TEACH) == "see the folder for their names"
