import pytest

from tests.builders import write_plain_slide


@pytest.fixture
def write_slide():
    """Write a slide of 1 µm per pixel into a store: its regions at 10x and 1.25x."""
    return write_plain_slide
