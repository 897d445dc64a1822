"""Strokes in blocks behave like one big array, whatever is written where."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.core.planes import Region, whole
from napari_msd.document import StrokeStore

SHAPE = (70, 90)


@st.composite
def writes(draw):
    top, left = draw(st.integers(0, 69)), draw(st.integers(0, 89))
    bottom, right = draw(st.integers(top, 70)), draw(st.integers(left, 90))
    return Region(top, left, bottom, right), draw(st.integers(0, 3)), draw(st.integers(0, 1))


@given(st.lists(writes(), max_size=8))
def test_like_an_array(changes):
    store = StrokeStore()
    arrays = {(0,): np.zeros(SHAPE, np.uint8), (1,): np.zeros(SHAPE, np.uint8)}
    for region, value, plane in changes:
        values = np.full(region.shape, value, np.uint8)
        changed = store.write((plane,), region, values)
        assert bool(changed) == bool((arrays[(plane,)][region.slices] != values).any())
        arrays[(plane,)][region.slices] = values
    for plane, array in arrays.items():
        assert np.array_equal(store.read(plane, whole(SHAPE)), array)
        odd = Region(3, 5, 66, 41)
        assert np.array_equal(store.read(plane, odd), array[odd.slices])
    assert store.planes == {plane for plane, array in arrays.items() if array.any()}
    for value in (1, 2, 3):
        painted = {
            (plane, int(y), int(x))
            for plane, array in arrays.items()
            for y, x in np.argwhere(array == value)
        }
        assert store.count(value) == len(painted)
        assert (value in store.classes) == bool(painted)
        assert painted == {
            (piece.plane, int(y), int(x))
            for piece in store.pieces(value).values()
            for y, x in piece.pixels
        }


def test_blocks_rebuild_another_store():
    store, copy = StrokeStore(), StrokeStore()
    array = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8)
    store.write((), whole(SHAPE), array)
    for block in store.blocks():
        copy.write(*block)
    assert np.array_equal(copy.read((), whole(SHAPE)), array)


def test_revision_rises_with_changes_only():
    store = StrokeStore()
    store.write((), Region(0, 0, 2, 2), np.ones((2, 2), np.uint8))
    before = store.revision
    store.write((), Region(0, 0, 2, 2), np.ones((2, 2), np.uint8))
    assert store.revision == before
    store.write((), Region(0, 0, 1, 1), np.zeros((1, 1), np.uint8))
    assert store.revision > before
