from itertools import pairwise

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from wsikd.store.ome import Layout, RowWriter


def group_of(zarr_format=3):
    return zarr.open_group(MemoryStore(), mode="w", zarr_format=zarr_format)


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 20),
    held_rows=st.integers(0, 50),
    cuts=st.lists(st.integers(0, 40), max_size=6),
    zarr_format=st.sampled_from([2, 3]),
    channels=st.sampled_from([(), (3,)]),
)
def test_the_array_holds_the_rows_however_they_were_cut(
    height, width, held_rows, cuts, zarr_format, channels
):
    values = numbered(*channels, height, width)
    group = group_of(zarr_format)
    writer = RowWriter(group, "0", Layout(values.shape, values.dtype, 8, held_rows, 0))
    edges = [0, *sorted(min(cut, height) for cut in cuts), height]
    for top, bottom in pairwise(edges):
        writer.push(values[..., top:bottom, :])
    writer.finish()
    assert (group["0"][...] == values).all()


@pytest.mark.parametrize(
    ("shape", "held_rows", "chunks", "shards"),
    [
        ((3, 5, 7), 100, (3, 5, 7), (3, 5, 7)),  # smaller than a chunk
        ((3, 20, 17), 8, (3, 8, 8), (3, 8, 24)),  # one row of chunks
        ((3, 20, 17), 9, (3, 8, 8), (3, 16, 24)),  # rounded up to two
        ((3, 20, 17), 0, (3, 8, 8), (3, 8, 24)),  # never none
        ((20, 17), 1000, (8, 8), (24, 24)),  # all in one shard
    ],
)
def test_a_shard_is_as_wide_as_the_array_and_as_high_as_what_is_held(
    shape, held_rows, chunks, shards
):
    group = group_of()
    RowWriter(group, "0", Layout(shape, np.uint8, 8, held_rows, 0))
    assert (group["0"].chunks, group["0"].shards) == (chunks, shards)


def test_an_array_of_zarr_2_has_a_file_for_each_chunk():
    group = group_of(zarr_format=2)
    RowWriter(group, "0", Layout((3, 20, 17), np.uint8, 8, 16, 0))
    assert (group["0"].chunks, group["0"].shards) == ((3, 8, 8), None)


def test_chunks_of_the_fill_value_are_written_too():
    group = group_of()
    writer = RowWriter(group, "0", Layout((3, 20, 17), np.uint8, 8, 8, 255))
    writer.push(np.full((3, 20, 17), 255, np.uint8))
    writer.finish()
    assert group["0"].nchunks_initialized == group["0"].nchunks


def test_rows_that_never_came_are_a_bug_that_shows():
    writer = RowWriter(group_of(), "0", Layout((20, 17), np.uint8, 8, 8, 0))
    writer.push(np.zeros((19, 17), np.uint8))
    with pytest.raises(AssertionError, match="19"):
        writer.finish()
