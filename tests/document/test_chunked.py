"""An array that keeps only chunks with something in them behaves like NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.core.errors import BadInputError
from napari_msd.document.chunked import ChunkedLabels

SHAPE = (3, 40, 50)


def one_key(n):
    whole = st.slices(n)
    return st.one_of(st.integers(-n, n - 1), whole)


def keys():
    return st.one_of(
        st.tuples(*map(one_key, SHAPE)),
        st.tuples(*map(one_key, SHAPE[:2])),
        st.tuples(one_key(SHAPE[0]), st.just(Ellipsis), one_key(SHAPE[2])),
        st.lists(st.tuples(*(st.integers(-n, n - 1) for n in SHAPE)), min_size=1).map(
            lambda rows: tuple(np.array(rows).T)
        ),
    )


@given(st.lists(st.tuples(keys(), st.integers(0, 3)), max_size=6), keys())
def test_it_reads_and_writes_like_numpy(writes, key):
    plain, chunked = np.zeros(SHAPE, np.uint8), ChunkedLabels(SHAPE, side=16)
    for where, value in writes:
        plain[where] = value
        chunked[where] = value
    np.testing.assert_array_equal(np.asarray(chunked), plain)
    np.testing.assert_array_equal(chunked[key], plain[key])
    assert chunked[key].shape == plain[key].shape


@given(st.tuples(*map(st.slices, SHAPE)), st.integers(1, 9))
def test_arrays_of_values_are_written_as_by_numpy(key, seed):
    plain, chunked = np.zeros(SHAPE, np.uint8), ChunkedLabels(SHAPE, side=16)
    values = np.random.default_rng(seed).integers(0, 5, plain[key].shape)
    plain[key] = values
    chunked[key] = values
    np.testing.assert_array_equal(np.asarray(chunked), plain)


def test_a_hundred_gigabytes_cost_nothing_until_they_are_painted():
    labels = ChunkedLabels((200, 16000, 16000))
    assert labels.empty
    labels[100, 8000:8010, 8000:8010] = 2
    assert [box.shape for box in labels.written()] == [(1, 256, 256)]
    assert int(labels[100].sum()) == 200
    labels[100, 8000:8010, 8000:8010] = 0
    assert labels.empty


def test_all_of_it_is_given_only_if_it_fits():
    with pytest.raises(BadInputError, match="read parts of it"):
        np.asarray(ChunkedLabels((200, 16000, 16000)))


@pytest.mark.parametrize("key", [(3, 0, 0), (0, 0, 0, 0), (0, -41, 0), (np.zeros(SHAPE, bool),)])
def test_an_impossible_index_is_an_index_error(key):
    with pytest.raises(IndexError):
        ChunkedLabels(SHAPE)[key]


class Listener:
    def __init__(self):
        self.boxes = []

    def heard(self, box):
        self.boxes.append(box)


def test_who_follows_is_told_where_an_index_wrote():
    labels, listener = ChunkedLabels(SHAPE), Listener()
    labels.follow(listener.heard)
    labels[1, 3:9, -2] = 1
    labels[np.array([0, 2]), np.array([5, 6]), np.array([7, 1])] = 2
    labels.write(Box(0, (0, 0, 0), (1, 4, 4)), np.ones((1, 4, 4), np.uint8))
    assert listener.boxes == [Box(0, (1, 3, 48), (2, 9, 49)), Box(0, (0, 5, 1), (3, 7, 8))]
    labels.unfollow(listener.heard)
    labels[0] = 1
    assert len(listener.boxes) == 2


def test_who_is_gone_is_not_told():
    labels, listener = ChunkedLabels(SHAPE), Listener()
    labels.follow(listener.heard)
    del listener
    labels[0, 0, 0] = 1
    assert labels[0, 0, 0] == 1


def test_what_was_read_is_a_copy():
    labels = ChunkedLabels(SHAPE, side=16)
    labels[0] = 1
    labels[0][:] = 7
    assert (labels[0] == 1).all()
