"""Chunks are decoded once while they are needed, and forgotten when there is no room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.images.chunk_cache import CachedArray, ChunkCache

VALUES = np.random.default_rng(0).integers(0, 9999, (7, 50, 61)).astype(np.uint16)
SIDES = (2, 16, 20)


class Chunked:
    """An array in chunks that counts how often each is decoded."""

    def __init__(self):
        self.shape, self.dtype, self.chunks = VALUES.shape, VALUES.dtype, SIDES
        self.decoded = np.zeros(
            [-(-n // side) for n, side in zip(self.shape, SIDES, strict=True)], int
        )

    def __getitem__(self, key):
        ends = [part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)]
        touched = (
            slice(a // side, -(-b // side)) for (a, b), side in zip(ends, SIDES, strict=True)
        )
        self.decoded[tuple(touched)] += 1
        return VALUES[key]


def span(n):
    return st.tuples(st.integers(0, n), st.integers(0, n)).map(lambda ends: slice(*sorted(ends)))


@given(
    keys=st.lists(st.tuples(*map(span, VALUES.shape)), min_size=1, max_size=6),
    budget=st.sampled_from([0, 3000, 10**6]),
)
def test_every_box_is_right(keys, budget):
    array = CachedArray(Chunked(), ChunkCache(budget))
    for key in keys:
        np.testing.assert_array_equal(array[key], VALUES[key])


def test_a_chunk_is_decoded_once_for_all_blocks_in_it():
    chunked = Chunked()
    array = CachedArray(chunked, ChunkCache(10**6))
    for y in range(0, 50, 5):
        for x in range(0, 61, 7):
            key = (slice(0, 7), slice(y, min(y + 5, 50)), slice(x, min(x + 7, 61)))
            np.testing.assert_array_equal(array[key], VALUES[key])
    assert (chunked.decoded == 1).all()


def test_what_was_used_longest_ago_is_forgotten():
    chunked = Chunked()
    chunk_bytes = 2 * 16 * 20 * 2
    array = CachedArray(chunked, ChunkCache(2 * chunk_bytes))
    for x in (0, 20, 0, 40, 0, 20):
        assert array[0:1, 0:1, x : x + 1].size == 1
    assert chunked.decoded[0, 0].tolist() == [1, 2, 1, 0]


def test_arrays_do_not_mix_and_closing_forgets():
    cache = ChunkCache(10**6)
    first, second = Chunked(), Chunked()
    one, two = CachedArray(first, cache), CachedArray(second, cache)
    key = (slice(0, 1), slice(0, 1), slice(0, 1))
    for array in (one, two, one, two):
        array[key]
    one.close()
    one[key], two[key]
    assert (first.decoded[0, 0, 0], second.decoded[0, 0, 0]) == (2, 1)


def test_what_is_given_may_be_changed():
    array = CachedArray(Chunked(), ChunkCache(10**6))
    key = (slice(0, 2), slice(0, 16), slice(0, 20))
    array[key][...] = 0
    np.testing.assert_array_equal(array[key], VALUES[key])


def test_a_failed_read_is_tried_again():
    chunked = Chunked()
    array = CachedArray(chunked, ChunkCache(10**6))
    key = (slice(0, 1), slice(0, 1), slice(0, 1))
    chunked.__class__ = type("Broken", (Chunked,), {"__getitem__": lambda self, key: 1 / 0})
    with pytest.raises(ZeroDivisionError):
        array[key]
    chunked.__class__ = Chunked
    np.testing.assert_array_equal(array[key], VALUES[key])
