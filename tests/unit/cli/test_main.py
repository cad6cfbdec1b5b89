import errno
import os
import signal

import pytest
from PIL import Image

import wsikd.cli
from wsikd.cli import main
from wsikd.errors import ConfigError

MANIFEST = "slide_id,patient_id,path,label,split\n"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"s{n},p{n},s{n}.svs,{'ab'[n % 2]},\n" for n in range(12)]
    (tmp_path / "slides.csv").write_text(MANIFEST + "".join(rows))
    return tmp_path


def told(capsys, *arguments):
    """Run a command that fails; give its exit status and the one line it says."""
    status = main(arguments)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("wsikd: ")
    assert said.err.count("\n") == 1
    return status, said.err.removeprefix("wsikd: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepar"], 'Unknown command "prepar". Did you mean "prepare"?'),
        (["prepare", "--tissue.mp", "4"], "Did you mean --tissue.mpp?"),
        (["prepare", "--tissue.mpp", "-1"], "--tissue.mpp must be above 0, got '-1'"),
        (["prepare", "--tissue.mpp", "fine"], "--tissue.mpp must be a valid number"),
        (["prepare", "--ngff", "0.6"], "--ngff must be '0.5' or '0.4', got '0.6'"),
        (["prepare", "--pyramid.magnifications", "0"],
         "--pyramid.magnifications: must be one or more numbers above 0 and at most 400"),
        (["prepare", "--workers", "-1"], "--workers must be at least 0, got '-1'"),
        (["split", "--folds", "two"], "--folds must be a number of folds, or site, got 'two'"),
        (["split", "--folds", "2"], "folds must be at least 3 (test, val, train), got 2"),
        (["distil"], "student-mag"),
        (["info"], "SLIDE"),
    ],
)  # fmt: skip
def test_wrong_usage_is_said_in_one_line_and_exits_2(workspace, capsys, arguments, message):
    status, said = told(capsys, *arguments)
    assert status == 2
    assert message in said


def split_count(workspace):
    """Count the folds that `wsikd split` dealt, 0 if it dealt splits."""
    lines = (workspace / "slides.csv").read_text().splitlines()
    at = lines[0].split(",").index("fold")
    return len({line.split(",")[at] for line in lines[1:]} - {""})


def test_wsikd_yaml_goes_before_defaults_and_flags_go_before_it(workspace):
    assert main(["split"]) == 0
    assert split_count(workspace) == 0
    (workspace / "wsikd.yaml").write_text("split: {folds: 4}")
    assert main(["split"]) == 0
    assert split_count(workspace) == 4
    assert main(["split", "--folds", "3"]) == 0
    assert split_count(workspace) == 3


def test_nested_settings_are_read_from_wsikd_yaml(workspace, capsys):
    (workspace / "wsikd.yaml").write_text("prepare:\n  tissue:\n    mpp: -4\n")
    assert told(capsys, "prepare") == (2, "wsikd.yaml: --tissue.mpp must be above 0, got '-4'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["teach"], "wsikd.yaml: --epochs must be at least 1, got '0'"),
        (["teach", "--epochs", "-1"], "--epochs must be at least 1, got '-1'"),
        (["teach", "--epochs", "1", "--seed=-2"], "--seed must be at least 0, got '-2'"),
        (["distil", "--student-mag", "-1"], "--student-mag must be above 0, got '-1'"),
    ],
)
def test_what_breaks_a_rule_is_blamed_on_the_file_only_if_it_is_there(
    workspace, capsys, arguments, message
):
    (workspace / "wsikd.yaml").write_text("teach: {epochs: 0}")
    assert told(capsys, *arguments) == (2, message)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("teach: {epoch: 3}", ["teach"], "--epoch is unknown; did you mean --epochs?"),
        ("teach: {epoch: 3}", ["teach", "--epochs", "4"],
         "--epoch is unknown; did you mean --epochs?"),
        ("prepare: {tissue: {mp: 3}}", ["prepare"],
         "--tissue.mp is unknown; did you mean --tissue.mpp?"),
        ("teach: {quux: 3}", ["teach"], "--quux is unknown; leave it out or correct its name"),
        ("teach: {seed: 1}\nteach: {seed: 2}", ["teach"],
         "line 2: 'teach' is there twice; leave one out"),
    ],
)  # fmt: skip
def test_a_key_of_wsikd_yaml_that_cannot_be_is_named(workspace, capsys, text, arguments, message):
    (workspace / "wsikd.yaml").write_text(text)
    assert told(capsys, *arguments) == (2, f"wsikd.yaml: {message}")


def test_a_folder_in_place_of_slides_csv_is_called_so(tmp_path, capsys):
    (tmp_path / "slides.csv").mkdir()
    status, said = told(capsys, "split", "--workspace", str(tmp_path))
    assert status == 2
    assert said == f"{tmp_path / 'slides.csv'}: must be a file, is a folder; move the folder away"


def test_a_folder_in_place_of_wsikd_yaml_is_refused(workspace, capsys):
    (workspace / "wsikd.yaml").mkdir()
    assert told(capsys, "split") == (2, "wsikd.yaml: must be a file, is a folder")


@pytest.mark.parametrize("how", [[], ["--dry-run"]])
def test_a_recipe_is_checked_before_its_first_step(workspace, capsys, how):
    recipe = workspace / "trial.yaml"
    recipe.write_text("name: trial\nsteps: [split: {folds: 3}, teach: {epochs: 0}]")
    before = (workspace / "slides.csv").read_text()
    status, said = told(capsys, "run", "trial.yaml", *how)
    assert status == 2
    assert said == f"{recipe}: step 2, teach: --epochs must be at least 1, got '0'"
    assert (workspace / "slides.csv").read_text() == before


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "runs: permission denied; allow it with chmod, or choose another folder"),
        (errno.ENOSPC, "runs: no space left on device; make room and run the same command to"),
        (errno.EROFS, "runs: read-only file system; choose a folder that can be written"),
        (errno.ENOTDIR, "runs: not a directory; a folder is needed there; choose another"),
        (errno.EIO, "runs: input/output error; see that it is there and can be used"),
    ],
)
def test_what_the_file_system_refuses_is_said_by_file(monkeypatch, capsys, number, message):
    def refused(arguments):
        raise OSError(number, os.strerror(number), "runs")

    monkeypatch.setattr(wsikd.cli, "execute", refused)
    status, said = told(capsys, "split")
    assert status == 4
    assert said.startswith(message)


def test_an_error_of_the_system_that_names_no_file_keeps_its_traceback(monkeypatch):
    def refused(arguments):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(wsikd.cli, "execute", refused)
    with pytest.raises(OSError, match="Bad file descriptor"):
        main(["split"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split: {fold: 3}", "fold"),
        ("split: {folds: 3, more: {x: 1}}", "more"),
        (
            "splitt: {folds: 3}",
            "wsikd.yaml: 'splitt' is no command; it may have prepare, check, split",
        ),
        ("folds: 3", "wsikd.yaml: 'folds' is no command"),
        ("split: 3", "wsikd.yaml: split must map options to values, got 3"),
        ("split: {workspace: x}", "wsikd.yaml: split cannot set the workspace; say --workspace"),
        ("split: [", "wsikd.yaml: must be YAML"),
        ("- split", "wsikd.yaml: must hold a mapping of settings, got list"),
    ],
)
def test_what_wsikd_yaml_may_not_say_is_refused_by_name(workspace, capsys, text, message):
    (workspace / "wsikd.yaml").write_text(text)
    before = (workspace / "slides.csv").read_text()
    status, said = told(capsys, "split")
    assert status == 2
    assert message in said
    assert "wsikd.yaml" in said
    assert (workspace / "slides.csv").read_text() == before


@pytest.mark.parametrize("text", ["", "split:", "# split: {folds: 3}"])
def test_an_empty_wsikd_yaml_sets_nothing(workspace, text):
    (workspace / "wsikd.yaml").write_text(text)
    assert main(["split"]) == 0


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_workspace_is_where_everything_is_looked_for(workspace, monkeypatch, tmp_path, place):
    (workspace / "wsikd.yaml").write_text("split: {folds: 5}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    named = ["--workspace", str(workspace)]
    assert main([*named, "split"] if place == "before" else ["split", *named]) == 0
    assert split_count(workspace) == 5
    assert list(elsewhere.iterdir()) == []


def test_nothing_to_work_on_exits_4(workspace, capsys):
    (workspace / "slides").mkdir()
    status, said = told(capsys, "prepare", "slides")
    assert status == 4
    assert said.startswith("slides: holds no slide; put files of .svs, ")


def test_every_slide_failing_exits_4_after_each_was_tried(tmp_path, capsys):
    (tmp_path / "slides").mkdir()
    for name in "ab":
        (tmp_path / "slides" / f"{name}.svs").write_bytes(b"")
    arguments = ["prepare", str(tmp_path / "slides"), "--workers", "0"]
    assert main([*arguments, "--workspace", str(tmp_path)]) == 4
    assert capsys.readouterr().err.splitlines()[-1].endswith("status.csv: all 2 slides failed")


def test_a_leak_exits_5(workspace, capsys):
    with (workspace / "slides.csv").open("a") as file:
        file.writelines(f"aux{k},p{k},aux{k}.svs,a,auxiliary\n" for k in range(12))
    status, said = told(capsys, "split")
    assert status == 5
    assert "is in split auxiliary and " in said
    assert said.endswith("or clear its label, so that it is left out")


def add_slides(workspace, *rows):
    with (workspace / "slides.csv").open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def test_split_says_what_becomes_of_slides_without_a_label(workspace, capsys):
    add_slides(workspace, "u0,new,u0.svs,,", "u1,new,u1.svs,,")
    assert main(["split"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "split test: 2 patients",
        "split train: 8 patients",
        "split val: 2 patients",
    ]
    assert said.err == (
        "note: slides without a label that are left out: 2 of 14, first 'u0'; label them, or let "
        "students learn from them with split auxiliary\n"
    )
    (workspace / "wsikd.yaml").write_text("split: {unlabelled: auxiliary}")
    assert main(["split"]) == 0
    said = capsys.readouterr()
    assert (said.out.splitlines()[-1], said.err) == ("auxiliary: 2 slides", "")
    status, refusal = told(capsys, "split", "--unlabelled", "ignore")
    assert status == 2
    assert refusal.endswith("must be 'auxiliary', 'leave-out' or 'refuse', got 'ignore'")


def test_split_by_site_says_which_fold_is_which_site(workspace, capsys):
    table = (workspace / "slides.csv").read_text().splitlines()
    sites = ["site", *("Ulm" if k < 2 else "Bern" if k < 6 else "Graz" for k in range(12))]
    rows = [f"{row},{site}\n" for row, site in zip(table, sites, strict=True)]
    (workspace / "slides.csv").write_text("".join(rows))
    assert main(["split", "--folds", "site"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "fold 0: 4 patients, site Bern",
        "fold 1: 6 patients, site Graz",
        "fold 2: 2 patients, site Ulm",
    ]


def test_an_unknown_patient_is_noted_before_anything_is_dealt(workspace, capsys):
    add_slides(workspace, "x,NA,x.svs,a,", "y,NA,y.svs,A,")
    assert main(["split"]) == 2
    patients, labels, refusal = capsys.readouterr().err.splitlines()
    assert patients.startswith("note: patient_id is 'NA' of 2 slides, which are taken for one p")
    assert labels.startswith("note: label has 'A' and 'a', which are taken for two; write them")
    assert refusal.startswith("wsikd: slides.csv: label 'A' has 1 patients, needs 3;")


def test_a_missing_store_exits_4_and_names_prepare(workspace, capsys):
    assert main(["split"]) == 0
    capsys.readouterr()
    status, said = told(capsys, "teach")
    assert status == 4
    assert said == "regions: no such folder; make it with `wsikd prepare`"


def stopped_by(number, monkeypatch, capsys):
    def stopping(arguments):
        os.kill(os.getpid(), number)
        raise ConfigError("the signal was not heeded")

    monkeypatch.setattr(wsikd.cli, "execute", stopping)
    return told(capsys, "split")


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["heeded", "ignored"])
def _before(request):
    """Let SIGINT be as a shell leaves it to what it starts; a script lets what it puts in the
    background ignore it."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    signal.signal(signal.SIGINT, request.param)
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_before")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_exits_as_shells_do_and_says_how_to_go_on(monkeypatch, capsys, number, status):
    exited, said = stopped_by(number, monkeypatch, capsys)
    assert exited == status
    assert said.endswith("run the same command to go on")


def test_a_bug_keeps_its_traceback(monkeypatch):
    def buggy(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(wsikd.cli, "execute", buggy)
    with pytest.raises(ZeroDivisionError):
        main(["split"])


def test_info_says_that_tissue_was_not_searched_where_the_resolution_is_unknown(tmp_path, capsys):
    Image.new("RGB", (64, 48), "white").save(tmp_path / "plain.png")
    assert main(["info", str(tmp_path / "plain.png")]) == 4
    shown = capsys.readouterr()
    assert "tissue     not searched" in shown.out
    assert "state it with --mpp" in shown.err
