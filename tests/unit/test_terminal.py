import io

import pytest

from wsikd.terminal import is_plain, spell_out, takes_all


def stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("environment", "plain"),
    [
        ({"LANG": "en_GB.UTF-8"}, False),
        ({"LANG": "C.UTF-8", "TERM": "xterm"}, False),
        ({"LANG": "en_GB.UTF-8", "NO_COLOR": "1"}, True),
        ({"LANG": "en_GB.UTF-8", "NO_COLOR": ""}, False),
        ({"LANG": "en_GB.UTF-8", "TERM": "dumb"}, True),
        ({"LANG": "C"}, True),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "POSIX"}, True),
        ({"LANG": "C", "LC_ALL": "en_GB.UTF-8"}, False),
        ({}, True),
    ],
)
def test_boxes_are_left_out_where_the_surroundings_ask_for_it(environment, plain):
    assert is_plain(stream("utf-8"), environment) == plain


def test_boxes_are_left_out_where_the_stream_cannot_take_them():
    assert is_plain(stream("iso-8859-1"), {"LANG": "en_GB.UTF-8"})


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"8 um x 3 in \\u0142\\xf3d\\u017a"),
        ("iso-8859-1", "8 µm × 3 in \\u0142ód\\u017a".encode("iso-8859-1")),
        ("utf-8", "8 µm × 3 in łódź".encode()),
    ],
)
def test_what_a_stream_cannot_take_is_spelled_out(encoding, written):
    target = stream(encoding)
    spell_out(target)
    target.write("8 µm × 3 in łódź")
    target.flush()
    assert target.buffer.getvalue() == written
    assert takes_all(target) == (encoding == "utf-8")
