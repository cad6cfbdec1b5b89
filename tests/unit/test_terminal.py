import io
import os
import subprocess
import sys

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
        ({"LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "UTF-8", "LANG": "en_GB.UTF-8"}, False),
        ({"LC_CTYPE": "en_GB.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LC_ALL": "C.UTF-8"}, False),
    ],
)
def test_boxes_are_left_out_where_the_surroundings_ask_for_it(environment, plain):
    assert is_plain(stream("utf-8"), environment) == plain


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locales")
@pytest.mark.parametrize(
    ("locale", "plain"),
    [({"LANG": "C"}, True), ({"LANG": "POSIX"}, True), ({}, True), ({"LC_ALL": "C.UTF-8"}, False)],
)
def test_the_help_of_a_process_has_boxes_only_outside_the_locale_c(locale, plain):
    told = {"LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR", "TERM"}
    rest = {name: value for name, value in os.environ.items() if name not in told}
    helped = subprocess.run(
        [sys.executable, "-m", "wsikd", "split", "--help"],
        env={**rest, **locale},
        capture_output=True,
        check=True,
    )
    assert helped.stdout.isascii() == plain


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


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("\N{MINUS SIGN}22.2\N{NO-BREAK SPACE}%", b"-22.2 %"),
        ("3 \N{EN DASH} 4 × “a” …", b'3 - 4 x "a" ...'),
    ],
)
def test_signs_of_tables_and_messages_stay_readable_in_ascii(shown, written):
    target = stream("ascii")
    spell_out(target)
    target.write(shown)
    target.flush()
    assert target.buffer.getvalue() == written
