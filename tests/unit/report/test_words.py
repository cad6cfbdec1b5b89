import pytest

from wsikd.report.words import find_subject, headline, run_title


@pytest.fixture
def sentences(metrics):
    return [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in headline(metrics)]


def test_the_answer_is_the_coarsest_student_and_what_it_saves(sentences):
    assert sentences[0] == (
        "The distilled student at 1.25x gets 80 % of 40 slides right (95 % interval 70 to 90 %). "
        "It needs 64 times less computation than the teacher at 10x."
    )


def test_the_run_that_taught_the_student_is_its_teacher_whatever_it_is_called(changed):
    def let_the_baseline_teach(it):
        it["runs"][1].update(name="baseline-5x", magnification=5.0)
        it["runs"][3]["teacher"] = "baseline-5x"
        it["runs"][3]["cost"]["times_cheaper_than_teacher"] = 16.0
        it["differences"][2]["reference"] = "baseline-5x"

    told = [
        one.replace("\N{NO-BREAK SPACE}", " ") for one in headline(changed(let_the_baseline_teach))
    ]
    assert told[0].endswith(
        "It needs 16 times less computation than the baseline at 5x, its teacher."
    )
    (baseline,) = [one for one in told if one.startswith("The baseline")]
    assert baseline.startswith("The baseline at 5x, which taught this student, gets 60 % right")


def test_without_a_teacher_to_compare_with_no_saving_is_stated(changed):
    def lose_the_teacher(it):
        it["runs"][3]["teacher"] = None
        it["runs"][3]["cost"]["times_cheaper_than_teacher"] = None

    assert headline(changed(lose_the_teacher))[0].endswith("interval 70 to 90\N{NO-BREAK SPACE}%).")


def test_numbers_from_before_the_teacher_was_recorded_name_none(changed):
    told = headline(changed(lambda it: it["runs"][3].pop("teacher")))
    assert told[0].endswith("It needs 64 times less computation than the teacher.")


def test_a_difference_whose_interval_holds_zero_is_put_down_to_chance(sentences):
    (teacher,) = [one for one in sentences if one.startswith("The teacher")]
    assert "is 10 percentage points below it (95 % interval \N{MINUS SIGN}20 to +2)" in teacher
    assert teacher.endswith("which chance could explain.")


def test_a_difference_whose_interval_leaves_zero_out_is_not(sentences):
    (baseline,) = [one for one in sentences if one.startswith("The baseline")]
    assert "is 20 percentage points above it (95 % interval +5 to +30)" in baseline
    assert baseline.endswith("more than chance explains.")


@pytest.mark.parametrize(
    ("estimate", "told"),
    [
        ((0.0, 0.0, 0.0), "is level with it (an interval of no width, which tells nothing of "),
        ((0.001, -0.004, 0.004), "is level with it, whichever patients are drawn."),
        ((0.05, 0.05, 0.05), "is 5 percentage points above it (an interval of no width, which "),
        ((0.0, -0.1, 0.1), "is level with it (95 % interval \N{MINUS SIGN}10 to +10), which "),
    ],
)
def test_an_interval_that_is_one_number_is_not_put_down_to_chance(changed, estimate, told):
    ends = dict(zip(("value", "low", "high"), estimate, strict=True))
    metrics = changed(lambda it: it["differences"][2]["metrics"]["plain_accuracy"].update(ends))
    (baseline,) = [one for one in headline(metrics) if one.startswith("The baseline")]
    assert told in baseline.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("patients", "change", "told"),
    [
        # stratified draws from one patient of each class always give the same set
        (3, {"value": 1 / 3, "low": 1 / 3, "high": 1 / 3}, "is 33 percentage points above it, "),
        (4, {"low": 0.1, "high": 0.3}, "is 20 percentage points above it, "),
        (4, {"low": None, "high": None}, "is 20 percentage points above it, "),
        (
            9,
            {"note": "the interval may be too narrow"},
            "is 20 percentage points above it (95 % interval +5 to +30), ",
        ),
    ],
)
def test_few_patients_are_said_to_tell_nothing_of_a_difference(changed, patients, change, told):
    def shrink(it):
        it["differences"][2]["patients"] = patients
        it["differences"][2]["metrics"]["plain_accuracy"].update(change)

    (baseline,) = [one for one in headline(changed(shrink)) if one.startswith("The baseline")]
    baseline = baseline.replace("\N{NO-BREAK SPACE}", " ")
    assert f"{told}which so few patients cannot tell from chance." in baseline


def test_an_interval_of_few_patients_is_said_to_be_too_narrow_perhaps(changed):
    def shrink(it):
        it["runs"][3]["units"]["slide"]["patients"] = 4

    answer = headline(changed(shrink))[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "(95 % interval 70 to 90 %, too narrow, perhaps, for so few patients)." in answer


def test_an_interval_of_no_width_is_said_to_tell_nothing(changed):
    everything = {"value": 1.0, "low": 1.0, "high": 1.0}

    def all_right(values):
        values["runs"][3]["units"]["slide"]["metrics"]["plain_accuracy"] = everything

    answer = headline(changed(all_right))[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "100 % of 40 slides right (an interval of no width, which tells nothing of" in answer


def test_a_difference_without_an_interval_is_given_bare(sentences):
    (colour,) = [one for one in sentences if "colour alone" in one]
    assert colour.endswith("the distilled student is 40 percentage points above it.")


def test_differences_of_other_students_are_not_told_of_the_first(sentences):
    assert "The distilled student at 5x gets 88 % right (95 % interval 80 to 95 %)." in sentences


def test_runs_with_a_name_of_their_own_are_told_apart_by_it(metrics):
    teacher = metrics.runs[0]
    assert run_title(teacher) == "teacher at 10x"
    other = teacher.model_copy(update={"name": "alt"})
    assert run_title(other) == "teacher at 10x (alt)"


def test_without_a_student_the_first_run_is_the_subject(metrics):
    others = tuple(run for run in metrics.runs if run.method != "student")
    metrics = metrics.model_copy(update={"runs": others, "differences": ()})
    assert find_subject(metrics).name == "teacher-10x"
    assert headline(metrics)[0].startswith("The teacher at 10x gets 90")
    assert "less computation" not in headline(metrics)[0]
