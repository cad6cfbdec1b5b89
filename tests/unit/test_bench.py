import json

import pytest

from wsikd.bench import BenchSettings, Row, bench
from wsikd.cli import main
from wsikd.training.machine import Machine

QUICK = ["--models", "resnet10w32", "--seconds", "0.01", "--side", "64", "--device", "cpu"]


def test_rows_hold_ceilings_shares_of_the_floor_and_rates():
    settings = BenchSettings(models=("resnet10w32",), seconds=0.01, side=64, device="cpu")
    rows = list(bench(settings, Machine.find("cpu")))
    assert [row.unit for row in rows] == [
        "GB/s", "TFLOP/s", "MPix/s", "MPix/s", "steps/s", "MPix/s"
    ]  # fmt: skip
    assert all(row.rate > 0 for row in rows)
    assert [row.what for row in rows if row.share is not None] == [
        "resnet10w32 learns, 64 x 64",
        "resnet10w32 reads, 64 x 64",
    ]
    assert all(0 < row.share < 1 for row in rows if row.share is not None)


def test_the_table_is_legible(capsys):
    assert main(["bench", *QUICK]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert "torch" in first
    assert "fp32, eager kernels" in first
    assert sum("of the floor" in line for line in lines) == 2
    assert str(Row(what="x", rate=0.5, unit="MPix/s", share=0.25)).split() == [
        "x", "0.5", "MPix/s", "0.250", "of", "the", "floor"
    ]  # fmt: skip


def test_json_is_for_machines(capsys):
    assert main(["bench", *QUICK, "--precision", "bf16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "bf16" in found["machine"]
    assert len(found["rows"]) == 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kernels", "fused", "--device", "cpu"], "--kernels fused needs a GPU"),
        (["--models", "resnet"], "--models"),
        (["--seconds", "0"], "--seconds"),
        (["--side", "3"], "--side"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, said, capsys):
    assert main(["bench", *options]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
