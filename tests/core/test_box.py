"""Boxes against boolean arrays: the same pixels, whatever is done to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.core.space import Slab, Space

SHAPE = (3, 5, 6)


def mask(*boxes: Box) -> np.ndarray:
    pixels = np.zeros(SHAPE, int)
    for box in boxes:
        pixels[box.slices] += 1
    return pixels


@st.composite
def boxes(draw):
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in SHAPE]
    return Box(0, tuple(a for a, _ in ends), tuple(b for _, b in ends))


@given(boxes(), boxes())
def test_intersect_and_without_share_the_box_out(a, b):
    parts = [a.intersect(b), *a.without(b)]
    np.testing.assert_array_equal(mask(*parts), mask(a))
    np.testing.assert_array_equal(mask(a.intersect(b)), mask(a) * mask(b))
    assert all(not part.empty for part in a.without(b))


@given(boxes(), st.tuples(*(st.integers(1, 4),) * 3))
def test_tiles_cover_each_pixel_once(box, size):
    tiles = list(box.tiles(size))
    np.testing.assert_array_equal(mask(*tiles), mask(box))
    assert all(n <= most for tile in tiles for n, most in zip(tile.shape, size, strict=True))


@given(boxes(), boxes())
def test_hull_contains_both(a, b):
    hull = a.hull(b)
    assert hull.contains(a)
    assert hull.contains(b)


def test_another_source_shares_nothing():
    a, b = Box(0, (0, 0), (4, 4)), Box(1, (0, 0), (4, 4))
    assert a.intersect(b).empty
    assert a.without(b) == [a]
    assert not a.contains(b)


def test_clip_grow_shift_and_within():
    box = Box(2, (4, 1), (6, 5))
    assert box.grow((1, 2)) == Box(2, (3, -1), (7, 7))
    assert box.grow((1, 2)).clip((6, 6)) == Box(2, (3, 0), (6, 6))
    assert box.shift((1, -1)) == Box(2, (5, 0), (7, 4))
    assert box.within(Box(2, (3, 0), (9, 9))) == Box(2, (1, 1), (3, 5))
    assert box.clip((2, 2)).empty
    assert box.centre == (5.0, 3.0)


def test_ends_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        Box(0, (0,), (1, 2))


def test_slabs_are_what_the_network_sees_as_one_image():
    stack = Space("TZYX", (2, 3, 5, 6))
    slabs = list(stack.slabs(7))
    assert len(slabs) == 6
    assert slabs[4] == Box(7, (1, 1, 0, 0), (2, 2, 5, 6))
    assert stack.slab_of(Box(7, (1, 1, 2, 2), (2, 2, 3, 4))) == slabs[4]
    volumes = Space("TZYX", (2, 3, 5, 6), convolved=3)
    assert [slab.shape for slab in volumes.slabs(0)] == [(1, 3, 5, 6)] * 2
    plane = Space("YX", (5, 6))
    assert list(plane.slabs(0)) == [plane.whole(0)]


def test_a_slab_is_named_by_source_and_index():
    box = Box(7, (1, 2, 3, 4), (3, 4, 9, 9))
    assert Slab.of(box, 2) == Slab(7, (1, 2))
    assert list(Slab.all_of(box, 2)) == [Slab(7, (t, z)) for t in (1, 2) for z in (2, 3)]
    assert list(Slab.all_of(box, 3)) == [Slab(7, (1,)), Slab(7, (2,))]
    assert list(Slab.all_of(box.last(2), 2)) == [Slab(7, ())]
    assert Slab(7, (1, 2)).box((3, 4), (9, 9)) == Box(7, (1, 2, 3, 4), (2, 3, 9, 9))
    assert sorted([Slab(1, (0,)), Slab(0, (5,)), Slab(0, (2,))])[0] == Slab(0, (2,))
    assert box.last(2) == Box(7, (3, 4), (9, 9))


def test_axes_have_to_agree():
    with pytest.raises(ValueError, match="cannot be convolved"):
        Space("YX", (2, 5, 6))
    with pytest.raises(ValueError, match="cannot be convolved"):
        Space("YX", (5, 6), convolved=3)
