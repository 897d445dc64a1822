"""Parts of arrays of chunks read what is asked for, and no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.document.chunked import ChunkedLabels
from napari_msd.document.part import LazyPart

SHAPE = (3, 20, 30)


@pytest.fixture(scope="module")
def arrays():
    plain = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8)
    chunked = ChunkedLabels(SHAPE, side=16)
    chunked[:] = plain
    return plain, LazyPart(chunked)


def key_of(shape):
    return st.tuples(*(st.one_of(st.slices(n), st.integers(-n, n - 1)) for n in shape))


@given(st.tuples(*map(st.slices, SHAPE)), st.data())
def test_a_part_of_a_part_is_as_numpy_gives_it(arrays, first, data):
    plain, part = arrays
    plain, part = plain[first], part[first]
    np.testing.assert_array_equal(np.asarray(part), plain)
    assert part.shape == plain.shape
    if plain.size:
        second = data.draw(key_of(plain.shape))
        np.testing.assert_array_equal(np.asarray(part[second]), plain[second])


class Counting(ChunkedLabels):
    pixels = 0

    def read(self, box):
        self.pixels += box.size
        return super().read(box)


def test_a_plane_of_what_is_visible_reads_that_plane_alone():
    array = Counting((200, 16000, 16000))
    visible = LazyPart(array)[:, 8000:9000, 4000:5000]
    assert array.pixels == 0
    assert visible[100].shape == (1000, 1000)
    assert array.pixels == 1000 * 1000


def test_index_errors_are_numpys():
    with pytest.raises(IndexError):
        LazyPart(ChunkedLabels(SHAPE))[3]
