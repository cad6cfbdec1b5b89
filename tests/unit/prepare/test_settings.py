import pytest

from wsikd.cli import main


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--reader", "nope", "'openslide', 'tiffslide', 'omezarr' or 'image', got 'nope'"),
        ("--mpp", "1e-9", "0.05"),
        ("--mpp", "1e9", "100"),
    ],
)
def test_what_no_slide_can_be_read_with_is_a_usage_error_before_any_slide(
    tmp_path, slide, capsys, option, value, told
):
    arguments = ["prepare", str(slide.parent), option, value, "--workspace", str(tmp_path / "here")]
    assert main(arguments) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "here").exists()
