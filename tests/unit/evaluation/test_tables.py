from wsikd.evaluation import EvaluateSettings, difference_table, evaluate_runs, summary_table


def test_a_row_per_run_says_accuracy_with_interval_and_saving(tmp_path, write_run, manifest):
    teacher = write_run("teacher", 10.0, gmacs=6400.0)
    write_run("student", 1.25, gmacs=100.0, of=teacher)
    metrics = evaluate_runs(tmp_path / "runs", manifest, EvaluateSettings(draws=100))
    student = summary_table(metrics).set_index("run").loc["student-1.25x"]
    assert student["right %"] == "100.0 (100.0 to 100.0)"
    assert (student["GFLOPs per slide"], student["cheaper"]) == ("200", "64x")


def test_differences_carry_their_sign(tmp_path, write_run, manifest):
    teacher = write_run("teacher", 10.0)
    write_run("student", 1.25, of=teacher, wrong=["s00", "s01", "s02"])
    metrics = evaluate_runs(tmp_path / "runs", manifest, EvaluateSettings(draws=100))
    row = difference_table(metrics).iloc[0]
    assert row["minus"] == "teacher-10x"
    assert row["balanced"].startswith("\N{MINUS SIGN}25.0 (")
