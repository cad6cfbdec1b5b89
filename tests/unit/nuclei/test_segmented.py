from wsikd.nuclei.segmented import FieldStatus, SegmentedTable


def field(region_id, status="done", **known):
    return FieldStatus(slide_id="a", region_id=region_id, status=status, **known)


def test_a_field_is_done_once_its_row_says_so(tmp_path):
    table = SegmentedTable(tmp_path / "segmented.csv")
    assert not table.is_done("a", "r")
    table.put(field("r", "failed"))
    assert not table.is_done("a", "r")
    table.put(field("r"))
    assert SegmentedTable(tmp_path / "segmented.csv").is_done("a", "r")


def test_a_slide_that_cannot_be_opened_has_a_row_until_a_region_of_it_has_one(tmp_path):
    table = SegmentedTable(tmp_path / "segmented.csv")
    table.put(field("", "failed", error="no"))
    table.put(FieldStatus(slide_id="b", status="failed"))
    table.put(field("r"))
    assert [(row.slide_id, row.region_id) for row in table.rows] == [("a", "r"), ("b", "")]


def test_a_slide_that_cannot_be_opened_any_more_leaves_the_rows_of_its_regions(tmp_path):
    table = SegmentedTable(tmp_path / "segmented.csv")
    table.put(field("r"))
    table.put(field("", "failed", error="no"))
    assert SegmentedTable(tmp_path / "segmented.csv").rows == [field("r")]


def test_unknown_counts_are_blank_and_others_whole_numbers(tmp_path):
    table = SegmentedTable(tmp_path / "segmented.csv")
    table.put(field("r", nuclei=12, unit="µm", median_diameter=7.5))
    table.put(field("s", "failed", error="no pixels"))
    written = (tmp_path / "segmented.csv").read_text(encoding="utf-8").splitlines()
    assert written[1:] == [
        "a,r,,,,µm,,12,7.5,,0.0,,done,",
        "a,s,,,,,,,,,0.0,,failed,no pixels",
    ]
