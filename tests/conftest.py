"""What all tests share: Hypothesis without deadlines, one torch thread, the real slides."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():  # before Triton is read, which decides then
    os.environ.setdefault("TRITON_INTERPRET", "1")

settings.register_profile("wsikd", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("wsikd")
torch.set_num_threads(1)  # two threads on a busy machine wait for each other

STAND_INS = Path(__file__).parent / "stand_ins"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real slides, described in its README."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real slides are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def small_timm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `import timm` find a small network of timm's interface, whatever is installed."""
    monkeypatch.syspath_prepend(STAND_INS)
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    yield
    sys.modules.pop("timm", None)
