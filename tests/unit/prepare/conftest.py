from pathlib import Path

import pytest

from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.prepare import PrepareSettings


@pytest.fixture(scope="session")
def slide(tmp_path_factory) -> Path:
    """Return a drawn slide of one piece at 1 µm per pixel."""
    path = tmp_path_factory.mktemp("drawn") / "s1.svs"
    draw_slide(path, "normal", DrawSettings(mpp=1.0, pieces=1, piece_mm=(0.4, 0.5)))
    return path


@pytest.fixture
def settings() -> PrepareSettings:
    return PrepareSettings(workers=0, pyramid={"magnifications": (2.5, 1.25)})
