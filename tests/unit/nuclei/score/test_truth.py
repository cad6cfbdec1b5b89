import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from shapely import Point, Polygon

from wsikd.errors import SlideError
from wsikd.geometry import Size
from wsikd.nuclei.score.truth import read_mask, read_matrix, read_numbers, read_outlines

SIZE = Size(8, 6)


def image_scope(*regions):
    """What ImageScope writes of polygons, each a sequence of corners (x, y)."""
    text = '<Annotations MicronsPerPixel="0.252000">\n<Annotation Id="1" Name="" LineColor="65280">'
    text += "\n<Regions><RegionAttributeHeaders/>"
    for number, corners in enumerate(regions, start=1):
        text += f'<Region Id="{number}" Type="0" Zoom="1" NegativeROA="0"><Vertices>'
        text += "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in corners)
        text += "</Vertices></Region>\n"
    return text + "</Regions><Plots/></Annotation></Annotations>\n"


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="a.xml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_text


class TestOutlines:
    def test_marks_the_pixels_whose_centre_is_inside(self, write):
        corners = [(0.5, 0.6), (6.4, 1.5), (3.5, 4.7)]
        truth = read_outlines(write(image_scope(corners)), SIZE)
        inside = [[Polygon(corners).contains(Point(x, y)) for x in range(8)] for y in range(6)]
        np.testing.assert_array_equal(truth.instances, np.array(inside, np.int32))
        assert truth.instances.dtype == np.int32

    def test_draws_later_outlines_over_earlier_ones_and_cuts_at_the_border(self, write):
        first, second = (
            [(x0, 0.5), (x1, 0.5), (x1, 2.5), (x0, 2.5)] for x0, x1 in ((0.5, 4.5), (3.5, 99))
        )
        found = read_outlines(write(image_scope(first, second)), SIZE).instances
        assert found[1].tolist() == [0, 1, 1, 1, 2, 2, 2, 2]
        assert found[3].tolist() == [0] * 8

    def test_counts_the_outlines_that_mark_nothing(self, write):
        line = [(1, 1), (4, 4)]
        narrow = [(1.2, 1.2), (1.4, 1.2), (1.4, 1.4)]
        outside = [(20, 1), (24, 1), (24, 5)]
        square = [(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)]
        truth = read_outlines(write(image_scope(line, [], narrow, outside, square)), SIZE)
        assert truth.skipped == 4
        assert np.unique(truth.instances).tolist() == [0, 5]

    def test_layers_without_nuclei_have_none(self, write):
        assert not read_outlines(write(image_scope()), SIZE).instances.any()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("<Annotations><", r"a\.xml: must be XML; .*line 1.*; copy it again"),
            ("<kml/>", r"a\.xml: must hold Regions as ImageScope writes them, is a kml"),
            (image_scope([("1,5", 2)]), r"X and Y of a Vertex must be numbers, got \{'X': '1,5'"),
            (image_scope([("nan", 2)]), r"X and Y of a Vertex must be numbers"),
            ("<R><Regions><Region><Vertex X='1'/></Region></Regions></R>", r"must be numbers"),
        ],
    )
    def test_refuses_what_is_no_outline(self, write, text, message):
        with pytest.raises(SlideError, match=message):
            read_outlines(write(text), SIZE)

    def test_refuses_entities_that_blow_up(self, write):
        levels = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 10))
        text = f'<!DOCTYPE a [<!ENTITY e0 "{"x" * 100}">{levels}]><a>&e9;</a>'
        with pytest.raises(SlideError, match="must be XML"):
            read_outlines(write(text), SIZE)


class TestMatrix:
    def write(self, folder, **matrices):
        savemat(folder / "a.mat", matrices)
        return folder / "a.mat"

    @pytest.mark.parametrize("kind", [np.float64, np.int32, np.uint16])
    def test_reads_the_numbers_whatever_their_type(self, tmp_path, kind):
        numbers = np.arange(48).reshape(6, 8).astype(kind)
        path = self.write(tmp_path, inst_map=numbers, inst_type=np.ones((47, 1)))
        found = read_matrix(path, SIZE).instances
        np.testing.assert_array_equal(found, numbers)
        assert found.dtype == np.int32

    def test_refuses_what_is_no_matrix_of_nuclei(self, tmp_path):
        with pytest.raises(SlideError, match=r"a\.mat: has no matrix inst_map"):
            read_matrix(self.write(tmp_path, type_map=np.ones((6, 8))), SIZE)
        with pytest.raises(SlideError, match=r"a\.mat: is 8 x 5 px, its image is 8 x 6; both"):
            read_matrix(self.write(tmp_path, inst_map=np.ones((5, 8))), SIZE)
        with pytest.raises(SlideError, match="numbers of nuclei must be whole and at least 0"):
            read_matrix(self.write(tmp_path, inst_map=np.full((6, 8), 0.5)), SIZE)

    @pytest.mark.parametrize("content", [b"", b"no matrix", b"MATLAB 7.3 MAT-file" + b"\0" * 600])
    def test_names_a_file_that_cannot_be_read(self, tmp_path, content):
        (tmp_path / "a.mat").write_bytes(content)
        with pytest.raises(SlideError, match=r"a\.mat: must be a MATLAB file; .*; copy it again"):
            read_matrix(tmp_path / "a.mat", SIZE)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_names_a_file_that_is_cut_short_anywhere(self, tmp_path, compressed):
        path = tmp_path / "a.mat"
        savemat(path, {"inst_map": np.ones((6, 8))}, do_compression=compressed)
        content = path.read_bytes()
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(SlideError, match=r"a\.mat: (must be a MATLAB file|has no matrix)"):
                read_matrix(path, SIZE)

    def test_names_a_file_whose_compressed_data_is_damaged(self, tmp_path):
        path = tmp_path / "a.mat"
        savemat(path, {"inst_map": np.ones((6, 8))}, do_compression=True)
        content = bytearray(path.read_bytes())
        content[136:140] = b"\xff" * 4  # the first of the deflated data, after both headers
        path.write_bytes(content)
        with pytest.raises(SlideError, match=r"must be a MATLAB file; .*decompress.*; copy it"):
            read_matrix(path, SIZE)


class TestNumbers:
    def test_reads_16_bits(self, tmp_path):
        numbers = (np.arange(48).reshape(6, 8) * 1000).astype(np.uint16)
        Image.fromarray(numbers).save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_numbers(tmp_path / "a.png", SIZE).instances, numbers)

    def test_refuses_colours_other_sizes_and_broken_files(self, tmp_path):
        path = tmp_path / "a.png"
        Image.new("RGB", SIZE).save(path)
        with pytest.raises(SlideError, match=r"a\.png: must be grey, the number of a nucleus"):
            read_numbers(path, SIZE)
        Image.new("L", (3, 2)).save(path)
        with pytest.raises(SlideError, match=r"a\.png: is 3 x 2 px, its image is 8 x 6"):
            read_numbers(path, SIZE)
        path.write_bytes(b"broken")
        with pytest.raises(SlideError, match=r"a\.png: cannot be decoded \(.*\); copy it again"):
            read_numbers(path, SIZE)


class TestMask:
    MARKED = np.array([[1, 1, 0, 0, 1, 0, 0, 0]] + [[0, 0, 1, 0, 1, 0, 0, 0]] * 5, bool)
    PIECES = np.array([[1, 1, 0, 0, 2, 0, 0, 0]] + [[0, 0, 3, 0, 2, 0, 0, 0]] * 5)

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
    def test_numbers_the_pieces_whatever_the_mode(self, tmp_path, mode):
        grey = Image.fromarray(self.MARKED.astype(np.uint8) * 255)
        grey.convert(mode).save(tmp_path / "a.png")
        found = read_mask(tmp_path / "a.png", SIZE).instances
        np.testing.assert_array_equal(found, self.PIECES)

    def test_refuses_another_size(self, tmp_path):
        Image.new("L", (3, 2)).save(tmp_path / "a.png")
        with pytest.raises(SlideError, match="is 3 x 2 px, its image is 8 x 6"):
            read_mask(tmp_path / "a.png", SIZE)
