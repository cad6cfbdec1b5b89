import pytest
import yaml

from wsikd.cli.footprints import Footprints
from wsikd.config import Settings
from wsikd.errors import ConfigError, SomeSlidesFailedError, StoppedError
from wsikd.recipes import Commands, read_recipe, run_recipe
from wsikd.runs import Provenance, RunFolder
from wsikd.workspace import Workspace

STEPS = [
    {"prepare": {"slides": "slides/", "pyramid": {"magnifications": [10, 1.25]}}},
    {"teach": {"epochs": 20}},
    {"evaluate": None},
]


class Typed:
    """Stands in for the command line: notes what it is asked and leaves what commands leave."""

    def __init__(self, root):
        self.root, self.failing, self.stopping = root, "", ""
        self.left = {
            "prepare": "slides.csv",
            "teach": "runs/teacher-10x/run.json",
            "distil": "runs/student-1.25x/run.json",
            "pair": "runs/pair-x/run.json",
            "probe": "runs/probe-metrics.json",
            "evaluate": "runs/metrics.json",
            "segment": "runs/segment-40x/run.json",
        }
        self.executed, self.told, self.checked, self.mistyped = [], [], [], None

    def execute(self, arguments):
        self.executed.append(arguments[0])
        if arguments[0] == self.stopping:
            raise StoppedError("stopped", 15)
        if arguments[0] == self.failing:
            raise SomeSlidesFailedError("1 slides failed")
        path = self.root / self.left[arguments[0]]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "run.json":
            name = path.parent.name
            made = Provenance(name=name, method=name.split("-")[0], classes=("a", "b"))
            RunFolder(path.parent).start(Settings(), made).finish(seconds=1.0)
            (path.parent / "predictions.csv").write_text("made")
        else:
            path.write_text("made")

    def check(self, arguments):
        self.checked.append(arguments)
        if arguments == self.mistyped:
            raise ConfigError("Unknown option: --epoch.")

    def carry_out(self, steps=STEPS, **options):
        """Run a recipe of these steps and list the commands that were not skipped."""
        recipe = self.root / "recipe.yaml"
        recipe.write_text(yaml.safe_dump({"name": "trial", "steps": steps}))
        self.executed, self.told = [], []
        run_recipe(
            recipe,
            Workspace(self.root),
            Commands(Footprints(), self.execute, self.check),
            lambda step, skipped: self.told.append((step.command, skipped)),
            **options,
        )
        return self.executed


@pytest.fixture
def commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "a.svs").write_bytes(b"a slide")
    return Typed(tmp_path)


def test_steps_are_carried_out_in_order_and_then_skipped(commands):
    assert commands.carry_out() == ["prepare", "teach", "evaluate"]
    assert commands.told == [("prepare", False), ("teach", False), ("evaluate", False)]
    assert commands.carry_out() == []
    assert commands.told == [("prepare", True), ("teach", True), ("evaluate", True)]


def test_a_step_with_other_options_is_redone_and_all_after_it(commands):
    commands.carry_out()
    changed = [STEPS[0], {"teach": {"epochs": 21}}, STEPS[2]]
    assert commands.carry_out(changed) == ["teach", "evaluate"]
    assert commands.carry_out(changed) == []


def test_a_step_put_in_between_redoes_all_after_it(commands):
    commands.carry_out()
    assert commands.carry_out([STEPS[0], {"teach": {"mag": 5}}, *STEPS[1:]]) == [
        "teach", "teach", "evaluate"
    ]  # fmt: skip


def test_a_step_whose_named_input_changed_is_redone_and_all_after_it(commands):
    commands.carry_out()
    (commands.root / "slides" / "b.svs").write_bytes(b"another slide")
    assert commands.carry_out() == ["prepare", "teach", "evaluate"]


def test_a_step_is_redone_if_the_table_of_slides_changed(commands):
    commands.carry_out()
    (commands.root / "slides.csv").write_text("labels corrected")
    assert commands.carry_out() == ["teach", "evaluate"]


def test_a_step_is_redone_if_its_settings_in_wsikd_yaml_changed(commands):
    commands.carry_out()
    (commands.root / "wsikd.yaml").write_text("teach: {seed: 3}\ninfo: {mpp: 1}")
    assert commands.carry_out() == ["teach", "evaluate"]
    (commands.root / "wsikd.yaml").write_text("teach: {seed: 3}")
    assert commands.carry_out() == []


@pytest.mark.parametrize(
    ("gone", "redone"),
    [("runs/teacher-10x/run.json", ["teach", "evaluate"]), ("runs/metrics.json", ["evaluate"])],
)
def test_a_step_is_redone_if_what_it_left_is_gone(commands, gone, redone):
    commands.carry_out()
    (commands.root / gone).unlink()
    assert commands.carry_out() == redone


def test_files_that_a_list_or_a_mapping_of_an_option_names_are_read(commands):
    for name in ("a", "b"):
        (commands.root / name).mkdir()
        (commands.root / name / "1.png").write_bytes(b"an image")
    steps = [{"segment train": {"inputs": ["a", "b"]}}, {"prepare": {"some": {"manifest": "a"}}}]
    assert commands.carry_out(steps) == ["segment", "prepare"]
    assert commands.carry_out(steps) == []
    (commands.root / "b" / "1.png").write_bytes(b"another")
    assert commands.carry_out(steps) == ["segment", "prepare"]
    (commands.root / "a" / "2.png").write_bytes(b"one more")
    assert commands.carry_out(steps[1:]) == ["prepare"]


def test_the_slides_of_a_table_are_read(commands):
    (commands.root / "table.csv").write_text("slide_id,path\na,slides/a.svs\n")
    steps = [{"prepare": {"manifest": "table.csv"}}]
    commands.carry_out(steps)
    assert commands.carry_out(steps) == []
    (commands.root / "slides" / "a.svs").write_bytes(b"another slide")
    assert commands.carry_out(steps) == ["prepare"]


def test_a_report_is_made_again_after_an_explanation(commands):
    commands.left["report"] = "report.html"
    steps = [*STEPS, {"report": None}]
    commands.carry_out(steps)
    assert commands.carry_out(steps) == []
    figure = commands.root / "runs" / "teacher-10x" / "explain" / "teacher-10x.png"
    figure.parent.mkdir()
    figure.write_bytes(b"a figure")
    assert commands.carry_out(steps) == ["report"]


def test_files_that_wsikd_yaml_names_are_read(commands):
    (commands.root / "images").mkdir()
    (commands.root / "wsikd.yaml").write_text("segment: {train: {inputs: [images]}}")
    steps = [{"segment train": {}}]
    commands.carry_out(steps)
    assert commands.carry_out(steps) == []
    (commands.root / "images" / "1.png").write_bytes(b"an image")
    assert commands.carry_out(steps) == ["segment"]


@pytest.mark.parametrize("name", ["pair-x", "pair-*", "*"])
def test_a_probe_is_redone_if_a_run_changed_that_it_names(commands, name):
    steps = [{"teach": {}}, {"pair": {}}, {"probe": {"runs": [name, "teacher-10x"]}}]
    commands.carry_out(steps)
    assert commands.carry_out(steps) == []
    for run in (RunFolder(path) for path in (commands.root / "runs").glob("*-*x")):
        run.write_provenance(run.read_provenance().model_copy(update={"started": "later"}))
        assert commands.carry_out(steps) == ["probe"]


def test_what_later_steps_leave_does_not_make_earlier_ones_be_redone(commands):
    steps = [{"teach": {}}, {"evaluate": {}}, {"distil": {"student_mag": 1.25}}, {"evaluate": {}}]
    assert commands.carry_out(steps) == ["teach", "evaluate", "distil", "evaluate"]
    assert commands.carry_out(steps) == []
    commands.left["teach"] = "runs/teacher-alt/run.json"
    commands.execute(["teach"])  # not by the recipe
    assert commands.carry_out(steps) == ["evaluate", "distil", "evaluate"]


def test_what_an_older_version_remembers_is_done_again(commands):
    commands.carry_out()
    (commands.root / "runs" / "recipe-trial.json").write_text('{"steps": {"0": {"inputs": "x"}}}')
    assert commands.carry_out() == ["prepare", "teach", "evaluate"]


def test_a_step_that_was_stopped_is_done_next_time_and_not_those_before(commands):
    commands.stopping = "teach"
    with pytest.raises(StoppedError):
        commands.carry_out()
    assert commands.executed == ["prepare", "teach"]
    commands.stopping = ""
    assert commands.carry_out() == ["teach", "evaluate"]


def test_failed_slides_do_not_keep_the_rest_from_being_done_and_are_tried_again(commands):
    commands.failing = "prepare"
    with pytest.raises(SomeSlidesFailedError, match="1 slides failed"):
        commands.carry_out()
    assert commands.executed == ["prepare", "teach", "evaluate"]
    commands.failing = ""
    assert commands.carry_out() == ["prepare", "teach", "evaluate"]
    assert commands.carry_out() == []


def test_a_dry_run_tells_the_steps_and_does_nothing(commands):
    assert commands.carry_out(dry_run=True) == []
    assert commands.told == [("prepare", False), ("teach", False), ("evaluate", False)]
    assert not (commands.root / "runs").exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_options_are_checked_before_the_first_step(commands, dry_run):
    commands.mistyped = ["teach", "--epoch", "2"]
    with pytest.raises(ConfigError) as refusal:
        commands.carry_out([STEPS[0], {"teach": {"epoch": 2}}], dry_run=dry_run)
    assert str(refusal.value) == (
        f"{commands.root / 'recipe.yaml'}: step 2, teach: Unknown option: --epoch."
    )
    assert (commands.executed, commands.told) == ([], [])


def test_options_become_what_is_typed_on_the_command_line(tmp_path):
    options = {
        "student_mag": 1.25,
        "fractions": [0.6, 0.2, 0.2],
        "tissue": {"max_side_um": 1000, "drop_green_ink": False},
        "pyramid.kernel": "box",
        "overwrite": True,
        "name": None,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "n", "steps": [{"distil": options}]}, sort_keys=False))
    (step,) = read_recipe(path, Footprints()).steps
    assert str(step) == (
        "wsikd distil --student-mag 1.25 --fractions 0.6 0.2 0.2 "
        "--tissue.max-side-um 1000 --tissue.no-drop-green-ink --pyramid.kernel box --overwrite"
    )


@pytest.mark.parametrize(
    ("recipe", "rule"),
    [
        ({"name": "n", "steps": []}, "steps must"),
        ({"steps": [{"teach": {}}]}, "name is required"),
        ({"name": "a/b", "steps": [{"teach": {}}]}, "name"),
        ({"name": "n", "steps": ["teach"]}, "steps.0"),
        ({"name": "n", "steps": [{"teach": 3}]}, "steps.0.teach"),
        ({"name": "n", "step": [], "steps": [{"teach": {}}]}, "step is unknown"),
        ({"name": "n", "steps": [{"teach": {}}, {"tech": {}}]}, "step 2 must map one of prepare, "),
        ({"name": "n", "steps": [{"demo": {}}]}, "got demo"),
        ({"name": "n", "steps": [{"teach": {}, "evaluate": {}}]}, "got evaluate, teach"),
        ({"name": "n", "steps": [{}]}, "got nothing"),
    ],
)
def test_a_recipe_that_breaks_a_rule_is_refused_by_its_file(tmp_path, recipe, rule):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(ConfigError) as refusal:
        read_recipe(path, Footprints())
    assert str(refusal.value).startswith(f"{path}: ")
    assert rule in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_a_recipe_leads_to_expect_is_handed_on_in_one_line(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: n\nsteps: [teach: {}]\nexpect: |\n  a student\n  above its baseline\n")
    assert read_recipe(path, Footprints()).expect == "a student above its baseline"
    assert read_recipe(_without_expectation(path), Footprints()).expect == ""


def test_a_recipe_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_recipe(tmp_path / "recipe.yaml", Footprints())


def _without_expectation(path):
    path.write_text(path.read_text().partition("expect")[0])
    return path
