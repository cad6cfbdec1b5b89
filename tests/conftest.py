"""What all tests share: Hypothesis without deadlines, one torch thread, the real slides."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("wsikd", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("wsikd")
torch.set_num_threads(1)  # two threads on a busy machine wait for each other

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real slides, described in its README."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real slides are not at {SHARED_DATA}")
    return SHARED_DATA
