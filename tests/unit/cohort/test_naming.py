import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsikd.cohort.columns import rule_broken
from wsikd.cohort.naming import name_slides, path_key, safe_id


def known(*pairs: tuple[Path, str]) -> dict[str, str]:
    return {path_key(path): name for path, name in pairs}


def test_names_a_dicom_series_after_its_whole_folder():
    assert name_slides([Path("in/1.2.840"), Path("in/single.dcm")]) == ["1.2.840", "single"]


def test_keeps_the_suffix_of_all_whose_names_would_collide():
    paths = [Path("a.svs"), Path("a.tif"), Path("a"), Path("b.svs")]
    assert name_slides(paths) == ["a.svs", "a.tif", "a", "b"]


def test_files_of_one_name_are_told_by_their_folders():
    paths = [Path("p1/x/a.svs"), Path("p2/x/a.svs"), Path("p2/y/a.svs"), Path("p2/y/b.svs")]
    assert name_slides(paths) == ["p1-x-a", "p2-x-a", "y-a", "b"]


def test_names_that_differ_in_case_or_accents_alone_are_one_name():
    one, other = name_slides([Path("x/S1.svs"), Path("y/s1.svs")])
    assert (one, other) == ("x-S1", "y-s1")
    composed, decomposed = Path("\xe9.svs"), Path("e\u0301.svs")
    names = name_slides([composed, decomposed, Path("f.svs")])
    assert len(set(names)) == 3
    assert [name[:2] for name in names] == ["\xe9-", "\xe9-", "f"]


@pytest.mark.parametrize(
    ("name", "slide_id"),
    [
        ("S\u00a01.svs", "S 1"),
        ("S\u30001.svs", "S 1"),
        ("S\t1.svs", "S 1"),
        ("S\n1.svs", "S 1"),
        ("S\\1.svs", "S_1"),
        ("S\udcff1.svs", "S_1"),
        ("S\x1b1.svs", "S_1"),
        ("S\u200b1.svs", "S1"),
        ("S1 .svs", "S1"),
        ("S1.svs ", "S1"),
        (" S1.svs", "S1"),
        ("\u00a0.svs", "slide"),
        ("\u00a0.hidden.svs", "_hidden"),
        ("Mu\u0308ller.svs", "M\xfcller"),
        ("копия (1) #2, ß.svs", "копия (1) #2, ß"),
    ],
)
def test_a_name_that_no_folder_or_table_can_hold_gets_a_safe_id(name, slide_id):
    assert name_slides([Path(name)]) == [slide_id]


def test_names_that_look_alike_are_told_apart_whatever_their_order():
    paths = [Path("S 1.svs"), Path("S\u00a01.svs"), Path("S  1.svs")]
    names = name_slides(paths)
    assert len(set(names)) == 3
    assert all(name.startswith("S 1-") for name in names)
    assert name_slides(paths[::-1]) == names[::-1]


def test_a_name_that_is_too_long_is_cut_and_still_its_own():
    first, second = name_slides([Path("й" * 120 + "1.svs"), Path("й" * 120 + "2.svs")])
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= 200


@given(st.text(st.characters(exclude_characters="\0"), max_size=300))
def test_every_name_gets_an_id_that_keeps_the_rule_and_stays_itself(name):
    slide_id = safe_id(name)
    assert slide_id
    assert rule_broken("slide_id", slide_id) is None
    assert slide_id == slide_id.strip() == unicodedata.normalize("NFC", slide_id)
    assert safe_id(slide_id) == slide_id


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "A", "a ", "b-a", "a.svs", "b"]), min_size=1, max_size=3),
        unique_by=tuple,
        max_size=12,
    )
)
def test_ids_are_unique_and_stay_when_slides_come_and_go(parts):
    paths = [Path("/data", *part[:-1], f"{part[-1]}.svs") for part in parts]
    names = name_slides(paths)
    assert len({name.casefold() for name in names}) == len(names)
    half = paths[::2]
    first = name_slides(half)
    again = name_slides(paths, known(*zip(half, first, strict=True)))
    assert again[::2] == first
    assert len({name.casefold() for name in again}) == len(again)


def test_a_file_is_not_taken_for_a_slide_of_its_name_that_is_still_elsewhere(
    tmp_path,
):
    for folder, content in (("one", b"a"), ("two", b"another")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(content)
    before = known((tmp_path / "one" / "1.png", "1"))
    second = tmp_path / "two" / "1.png"
    assert name_slides([second], before) == ["1.png"]
    second.write_bytes(b"b")  # of the same size: a copy, as on another disk
    assert name_slides([second], before) == ["1"]
    second.write_bytes(b"another")
    (tmp_path / "one" / "1.png").unlink()
    assert name_slides([second], before) == ["1"]
