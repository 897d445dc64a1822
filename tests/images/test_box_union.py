"""Boxes that cover another one together, whatever their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.images import box_union
from napari_msd.images.box_union import BoxUnion

SHAPE = (3, 6, 7)


@st.composite
def boxes(draw):
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in SHAPE]
    return Box(0, tuple(a for a, _ in ends), tuple(b for _, b in ends))


@given(added=st.lists(boxes(), max_size=12), asked=boxes(), cells=st.sampled_from([1, 4, 2**20]))
def test_as_an_array_would_say(added, asked, cells):
    union, done = BoxUnion(), np.zeros(SHAPE, bool)
    before, box_union._CELLS = box_union._CELLS, cells
    try:
        for box in added:
            union.add(box)
            done[box.slices] = True
            assert union.covers(box)
        assert union.covers(asked) == bool(done[asked.slices].all())
    finally:
        box_union._CELLS = before


def test_tens_of_thousands_of_blocks():
    """The first way to write this took minutes."""
    shape = (40, 2000, 2000)
    blocks = list(Box.whole(0, shape).tiles((1, 90, 70)))
    np.random.default_rng(0).shuffle(blocks)
    union = BoxUnion()
    for block in blocks[1:]:
        union.add(block)
    assert not union.covers(Box.whole(0, shape))
    tiles = [tile for tile in Box.whole(0, shape).tiles((1, 1000, 1000)) if not union.covers(tile)]
    assert 1 <= len(tiles) <= 4
    assert not any(tile.intersect(blocks[0]).empty for tile in tiles)
    union.add(blocks[0])
    assert union.covers(Box.whole(0, shape))
