from pathlib import Path

import pandas as pd
import pytest

from wsikd.cohort.columns import COLUMNS
from wsikd.cohort.manifest import manifest_from_folder, read_manifest, write_manifest
from wsikd.errors import ManifestError, NothingUsableError


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "slides.csv"
    path.write_text(text, encoding=encoding)
    return path


def table_of(rows: list[dict[str, str]]) -> pd.DataFrame:
    """A manifest in memory; what a row leaves out is empty."""
    empty = dict.fromkeys(COLUMNS, "")
    return pd.DataFrame(
        [empty | {"slide_id": f"s{k}", "path": f"/s{k}.svs"} | row for k, row in enumerate(rows)]
    )


class TestReading:
    def test_keeps_ids_as_text_and_unknown_columns(self, tmp_path):
        path = write(tmp_path, "slide_id,patient_id,path,scanner\n0007,010,a.svs,NA\n")
        row = read_manifest(path).iloc[0]
        assert (row["slide_id"], row["patient_id"], row["scanner"]) == ("0007", "010", "NA")

    def test_adds_missing_columns_as_empty_text(self, tmp_path):
        table = read_manifest(write(tmp_path, "note,path\nold,a.svs\n"))
        assert list(table.columns) == [*COLUMNS, "note"]
        assert table.loc[0, ["label", "split", "mpp", "mask_path"]].tolist() == [""] * 4

    def test_ignores_a_byte_order_mark_blanks_and_empty_lines(self, tmp_path):
        text = " slide_id , path\r\n\r\n a , b.svs \r\n,\r\n"
        table = read_manifest(write(tmp_path, text, "utf-8-sig"))
        assert table["slide_id"].tolist() == ["a"]
        assert table["path"].tolist() == [str(tmp_path / "b.svs")]

    def test_takes_paths_relative_to_its_folder_and_keeps_absolute_ones(self, tmp_path):
        text = "slide_id,path,mask_path\na,in/a.svs,m.png\nb,/far/b.svs,\n"
        table = read_manifest(write(tmp_path, text))
        assert table["path"].tolist() == [str(tmp_path / "in/a.svs"), "/far/b.svs"]
        assert table["mask_path"].tolist() == [str(tmp_path / "m.png"), ""]

    def test_knows_columns_by_a_neighbours_name(self, tmp_path):
        table = read_manifest(write(tmp_path, "SLIDE,Case_ID,wsi\na,p,/a.svs\n"))
        assert table.loc[0, ["slide_id", "patient_id", "path"]].tolist() == ["a", "p", "/a.svs"]

    def test_names_slides_after_their_files_when_there_are_no_ids(self, tmp_path):
        table = read_manifest(write(tmp_path, "path\nin/a.svs\nin/b.ome.tif\n"))
        assert table["slide_id"].tolist() == ["a", "b.ome"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "holds no slide"),
            ("slide_id,path\n", "holds no slide"),
            ("slide\npath\n", "needs a column path, has slide_id; add the column path"),
            ("slide_id,path,path\na,b,c\n", "column 'path' is there twice; rename one"),
            ("slide_id,path\na\n", "row 2 has 1 cells, not 2"),
            ("slide_id,path\na,b.svs,c\n", "row 2 has 3 cells, not 2"),
            ("sep=;\nslide_id;path\n\na\n", "row 4 has 1 cells, not 2"),
            ("path,,\na.svs,,x\n", "column 3 has cells and no name; name it, or clear it"),
            ('slide_id,path\n"a,b.svs\n', "must be CSV in UTF-8; unexpected end of data"),
            (
                "slide_id,path\na,1.svs\nb,2.svs\na,3.svs\n",
                "slide_id 'a' is in rows 2 and 4; give each slide its own",
            ),
            ("slide_id,path\na,\n", "path of slide 'a' in row 2 is empty; fill it in"),
            (
                "slide_id,path\n../a,b\n",
                "slide_id of slide '../a' must be usable as the name of a ",
            ),
            (
                f"slide_id,path\n{'a' * 201},b\n",
                f"slide_id of slide '{'a' * 201}' must be usable as the name of a folder, of at ",
            ),
            (
                "slide_id,path,split\na,b,dev\n",
                "split of slide 'a' must be one of train, val, test, auxiliary, got 'dev'",
            ),
            (
                "slide_id,path,fold\na,b,-1\n",
                "fold of slide 'a' must be a whole number from 0, got",
            ),
            (
                "slide_id,path,mpp\na,b,0.25um\n",
                "mpp of slide 'a' must be a number above 0, got '0",
            ),
            (
                "slide_id,path,mpp\na,b,nan\n",
                "mpp of slide 'a' must be a number above 0, got 'nan'",
            ),
            (
                "slide_id,path,objective_power\na,b,0\n",
                "objective_power of slide 'a' must be a num",
            ),
        ],
    )
    def test_refuses_in_one_line_that_names_the_file(self, tmp_path, text, message):
        path = write(tmp_path, text)
        with pytest.raises(ManifestError) as refusal:
            read_manifest(path)
        assert str(refusal.value).startswith(f"{path}: {message}")
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize(
        "text",
        [
            "slide_id;path;label;mpp\na;in/a.svs;x, y;0,25\n",
            "sep=;\r\nslide_id;path;label;mpp\r\na;in/a.svs;x, y;0,25\r\n",
            '"sep=,"\nslide_id,path,label,mpp\na,in/a.svs,"x, y",0.25\n',
            "slide_id\tpath\tlabel\tmpp\na\tin/a.svs\tx, y\t0,25\n",
            '"slide_id";"path";"label";"note, any";"mpp"\n"a";"in/a.svs";"x, y";;"0.25"\n',
            'slide_id,path,label,mpp,,,\na,in/a.svs,"x, y",0.25,,,\n,,,,,,\n',
            'slide_id,path,label,mpp\na,in/a.svs,"x, y",0.25,,\n',
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_reads_what_spreadsheets_write(self, tmp_path, text, encoding):
        row = read_manifest(write(tmp_path, text, encoding)).iloc[0]
        found = (row["slide_id"], row["path"], row["label"], float(row["mpp"]))
        assert found == ("a", str(tmp_path / "in" / "a.svs"), "x, y", 0.25)
        assert "" not in row.index

    def test_takes_blanks_of_any_kind_in_an_id_for_plain_ones(self, tmp_path):
        text = "slide_id,path\nS\u00a01\u200b,a.svs\nS  2,b.svs\n"
        assert read_manifest(write(tmp_path, text))["slide_id"].tolist() == ["S 1", "S  2"]

    def test_takes_no_decimal_comma_where_commas_separate(self, tmp_path):
        with pytest.raises(ManifestError, match="mpp of slide 'a' must be a number above 0, got"):
            read_manifest(write(tmp_path, 'slide_id,path,mpp\na,b,"0,25"\n'))

    def test_composes_accents_so_that_a_patient_is_one(self, tmp_path):
        text = (
            "slide_id,path,patient_id,label\na,a.svs,Mu\u0308ller,e\u0301\nb,b.svs,M\xfcller,\xe9\n"
        )
        table = read_manifest(write(tmp_path, text))
        assert set(table["patient_id"]) == {"M\xfcller"}
        assert set(table["label"]) == {"\xe9"}

    def test_refuses_another_encoding(self, tmp_path):
        with pytest.raises(ManifestError, match=r"must be CSV in UTF-8; .*; save it as CSV UTF-8"):
            read_manifest(write(tmp_path, "slide_id,path\nMüller,a.svs\n", "latin-1"))

    def test_says_which_command_makes_a_missing_manifest(self, tmp_path):
        with pytest.raises(ManifestError, match=r"slides\.csv: no such file; wsikd prepare"):
            read_manifest(tmp_path / "slides.csv")


class TestFindingFiles:
    @pytest.mark.parametrize(
        ("cell", "file"),
        [
            ("in\\a.svs", "in/a.svs"),
            (r"C:\study\slides\in\a.svs", "in/a.svs"),
            (r"\\server\share\a.svs", "a.svs"),
            ("/mnt/old/slides/in/a.svs", "in/a.svs"),
            ("../old/a.svs", "a.svs"),
            ("Mu\u0308ller.svs", "M\xfcller.svs"),
            ("M\xfcller.svs", "Mu\u0308ller.svs"),
            ("S 1.svs", "S\u00a01.svs"),
            ("S1.svs", "S1.svs "),
            (r"a\b.svs", r"a\b.svs"),
        ],
    )
    def test_finds_a_file_however_another_program_spells_its_path(self, tmp_path, cell, file):
        folder = tmp_path / "slides"
        (folder / file).parent.mkdir(parents=True)
        (folder / file).touch()
        path = folder / "table.csv"
        path.write_text(f"path,mask_path\n{cell},{cell}\n")
        row = manifest_from_folder(folder).iloc[0]
        assert (row["path"], row["mask_path"]) == (str(folder / file), str(folder / file))

    def test_takes_the_file_that_is_named_before_one_that_looks_alike(self, tmp_path):
        for name in ("S 1.svs", "S\u00a01.svs"):
            (tmp_path / name).touch()
        table = read_manifest(write(tmp_path, "slide_id,path\na,S 1.svs\nb,S\u00a01.svs\n"))
        assert [Path(path).name for path in table["path"]] == ["S 1.svs", "S\u00a01.svs"]
        missing = read_manifest(write(tmp_path, "slide_id,path\na,S  1.svs\n"))
        assert missing.at[0, "path"] == str(tmp_path / "S  1.svs")  # which of the two, nobody knows

    def test_refuses_two_rows_that_would_be_one_moved_file(self, tmp_path):
        (tmp_path / "1.png").touch()
        write(tmp_path, "slide_id,path\na,C:\\x\\1.png\nb,C:\\y\\1.png\n")
        with pytest.raises(ManifestError) as refused:
            manifest_from_folder(tmp_path)
        assert str(refused.value) == (
            rf"{tmp_path / 'slides.csv'}: path 'C:\\x\\1.png' in row 2 and 'C:\\y\\1.png' in row 3 "
            f"would both be {tmp_path / '1.png'}; correct one"
        )


class TestWriting:
    def test_reads_back_the_same(self, tmp_path):
        text = 'slide_id,path,label,note\n0007,in/a.svs,NA,"a, ""b"""\nb,/far/b.svs,,é\n'
        table = read_manifest(write(tmp_path, text))
        write_manifest(table, tmp_path / "again.csv")
        pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.csv"), table)

    def test_keeps_paths_below_its_folder_when_the_folder_moves(self, tmp_path):
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir()
        write_manifest(read_manifest(write(before, "path\nin/a.svs\n")), before / "slides.csv")
        before.rename(after)
        assert read_manifest(after / "slides.csv").at[0, "path"] == str(after / "in/a.svs")

    @pytest.mark.parametrize(
        "name",
        ["a.svs ", " a.svs", "a\tb.svs", "a\nb.svs", "a\\x20.svs", "a\u3000", "a\udcff.svs"],
    )
    def test_keeps_a_file_name_that_a_cell_cannot_hold(self, tmp_path, name):
        for file in (name, name.strip(), "other.svs"):
            (tmp_path / "in" / file).parent.mkdir(exist_ok=True)
            (tmp_path / "in" / file).touch()
        table = read_manifest(write(tmp_path, "path\nin/other.svs\n"))
        write_manifest(table.assign(path=str(tmp_path / "in" / name)), tmp_path / "again.csv")
        lines = (tmp_path / "again.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 2
        assert read_manifest(tmp_path / "again.csv").at[0, "path"] == str(tmp_path / "in" / name)


class TestFolder:
    def test_names_and_places_each_slide(self, tmp_path):
        for name in ("b.svs", "a.tif", "notes.txt"):
            (tmp_path / name).touch()
        table = manifest_from_folder(tmp_path)
        assert table["slide_id"].tolist() == ["a", "b"]
        assert table["path"].tolist() == [str(tmp_path / "a.tif"), str(tmp_path / "b.svs")]
        assert list(table.columns) == list(COLUMNS)

    def test_prefers_the_folders_own_table(self, tmp_path):
        (tmp_path / "b.svs").touch()
        write(tmp_path, "slide_id,path\nmine,b.svs\n")
        assert manifest_from_folder(tmp_path)["slide_id"].tolist() == ["mine"]

    def test_finds_the_slides_of_a_table_without_paths_by_their_names(self, tmp_path):
        for name in ("b.svs", "a.b.tif", "c.svs", "c.tif"):
            (tmp_path / name).touch()
        write(tmp_path, "slide_id,label\nc.tif,x\nb,y\na.b,x\n")
        table = manifest_from_folder(tmp_path)
        found = [str(tmp_path / name) for name in ("c.tif", "b.svs", "a.b.tif")]
        assert table["path"].tolist() == found

    def test_finds_slides_by_names_with_a_suffix_a_folder_or_other_blanks(self, tmp_path):
        for name in ("b.svs", "x/c.svs", "y/c.svs", "S\u00a01.svs"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        write(tmp_path, "slide_id,label\nb.svs,x\nx/c,y\ny\\c.svs,x\nS 1,y\n")
        table = manifest_from_folder(tmp_path)
        assert table["slide_id"].tolist() == ["b", "x-c", "y-c", "S 1"]
        found = ["b.svs", "x/c.svs", "y/c.svs", "S\u00a01.svs"]
        assert table["path"].tolist() == [str(tmp_path / name) for name in found]
        write(tmp_path, "slide_id,label\nc,x\n")
        with pytest.raises(ManifestError, match=r"2 slides named 'c', such as x-c; say which"):
            manifest_from_folder(tmp_path)

    def test_tells_which_slides_a_table_lacks(self, tmp_path):
        for name in ("a.svs", "b.svs", "in/c.svs"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        write(tmp_path, "slide_id,path\nmine,b.svs\n")
        told: list[str] = []
        manifest_from_folder(tmp_path, on_note=told.append)
        path = tmp_path / "slides.csv"
        assert told == [
            f"{path}: 2 of 3 slides beside it are not in it and left out, the first is a.svs"
        ]

    def test_tells_what_is_no_slide(self, tmp_path):
        for name in ("a.svs", "b.txt"):
            (tmp_path / name).touch()
        told: list[str] = []
        manifest_from_folder(tmp_path, on_note=told.append)
        assert told == [f"{tmp_path}: 1 file left out as no slides, the first is b.txt"]
        (tmp_path / "a.svs").unlink()
        with pytest.raises(NothingUsableError, match=r"no slide, 1 file left out .* b\.txt; put"):
            manifest_from_folder(tmp_path)

    def test_names_the_slide_that_a_table_without_paths_does_not_find(self, tmp_path):
        (tmp_path / "b.svs").touch()
        write(tmp_path, "slide_id,label\nb,x\nz,y\n")
        with pytest.raises(ManifestError) as refused:
            manifest_from_folder(tmp_path)
        assert str(refused.value).startswith(f"{tmp_path}: holds no slide named 'z'; ")

    def test_refuses_to_choose_between_two_tables(self, tmp_path):
        for name in ("x.csv", "y.csv"):
            (tmp_path / name).touch()
        with pytest.raises(ManifestError, match=r"one CSV file can be its manifest, has x.csv, y"):
            manifest_from_folder(tmp_path)

    def test_refuses_a_folder_that_is_empty_or_not_there(self, tmp_path):
        with pytest.raises(
            NothingUsableError, match=r"holds no slide; put files of .svs, .*, into it"
        ):
            manifest_from_folder(tmp_path)
        with pytest.raises(ManifestError, match="nowhere: no such folder"):
            manifest_from_folder(tmp_path / "nowhere")

    @pytest.mark.parametrize("name", ["a.svs", "cohort.csv"])
    def test_says_what_to_give_in_place_of_a_file(self, tmp_path, name):
        (tmp_path / name).touch()
        with pytest.raises(ManifestError) as refused:
            manifest_from_folder(tmp_path / name)
        assert str(refused.value) == (
            f"{tmp_path / name}: must be a folder of slides, is a file; give its folder, or a CSV "
            "file with --manifest"
        )

    def test_lists_every_real_slide_also_the_broken_ones(self, shared_data):
        counts = {name: len(manifest_from_folder(shared_data / name)) for name in _REAL_COUNTS}
        assert counts == _REAL_COUNTS


_REAL_COUNTS = {"slides": 15, "dicom": 4, "bad": 4, "atlas_organ": 30}
