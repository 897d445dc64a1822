"""An annotation in chunks behaves like big arrays, whatever is written where."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document import BLOCK, Annotation
from napari_msd.document.annotation import CHUNK
from napari_msd.document.pieces import Pieces

SHAPE = (3, 40, 70)
WHOLE = [Box.whole(source, SHAPE) for source in (0, 1)]


@st.composite
def boxes(draw):
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in SHAPE]
    return Box(draw(st.integers(0, 1)), tuple(a for a, _ in ends), tuple(b for _, b in ends))


writes = st.lists(st.tuples(boxes(), st.integers(0, 3)), max_size=8)


def bounds(mask: np.ndarray, source: int) -> Box | None:
    if not mask.any():
        return None
    pixels = np.argwhere(mask)
    start, stop = pixels.min(axis=0), pixels.max(axis=0) + 1
    return Box(source, tuple(map(int, start)), tuple(map(int, stop)))


@pytest.mark.parametrize("convolved", [2, 3])
@settings(deadline=None)
@given(changes=writes)
def test_like_arrays(convolved, changes):
    annotation = Annotation(convolved)
    pieces = Pieces(annotation)
    arrays = [np.zeros(SHAPE, np.uint8) for _ in WHOLE]
    for box, value in changes:
        array, before = arrays[box.source], annotation.revision
        changed = annotation.write(box, np.full(box.shape, value, np.uint8))
        differs = np.zeros(SHAPE, bool)
        differs[box.slices] = array[box.slices] != value
        assert changed == bounds(differs, box.source)
        assert (annotation.revision > before) == (changed is not None)
        array[box.slices] = value
    for array, whole in zip(arrays, WHOLE, strict=True):
        assert np.array_equal(annotation.read(whole), array)
        odd = Box(whole.source, (1, 3, 5), (3, 36, 67))
        assert np.array_equal(annotation.read(odd), array[odd.slices])
    leading = 3 - convolved
    painted = {(source, *map(int, at)) for source in (0, 1) for at in np.argwhere(arrays[source])}
    assert annotation.slabs == {Slab(s, tuple(at[:leading])) for s, *at in painted}
    for value in (1, 2, 3):
        there = {at for at in painted if arrays[at[0]][at[1:]] == value}
        assert annotation.count(value) == len(there) == annotation.counts.get(value, 0)
        assert (value in annotation.classes) == bool(there)
        assert there == {
            (slab.source, *slab.index, *map(int, at))
            for slab, pixels in annotation.where(value)
            for at in pixels
        }
        assert there == {
            (piece.slab.source, *piece.slab.index, *map(int, at))
            for piece in pieces.of(value)
            for at in piece.pixels
        }
        assert all(len({tuple(at) for at in p.pixels // BLOCK}) == 1 for p in pieces.of(value))
    assert pieces.amount.pixels == len(painted)


@settings(deadline=None)
@given(writes)
def test_chunks_rebuild_another_annotation(changes):
    annotation, copy = Annotation(), Annotation()
    for box, value in changes:
        annotation.write(box, np.full(box.shape, value, np.uint8))
    for box, values in annotation.chunks():
        copy.write(box, values)
    assert copy == annotation
    copy.write(WHOLE[0], 1 - (annotation.read(WHOLE[0]) > 0).astype(np.uint8))
    assert copy != annotation


def test_memory_follows_the_strokes():
    annotation = Annotation()
    huge = Box(0, (10**6, 10**9, 10**9), (10**6 + 1, 10**9 + 5, 10**9 + 5))
    annotation.write(huge, np.ones(huge.shape, np.uint8))
    assert sum(values.size for _, values in annotation.chunks()) <= 4 * CHUNK[2] ** 2
    annotation.write(huge, np.zeros(huge.shape, np.uint8))
    assert not list(annotation.chunks())
    assert annotation.slabs == set()


def test_what_was_read_or_written_stays_as_it_was():
    annotation = Annotation()
    box = Box(0, (0, 0), (4, 4))
    values = np.ones((4, 4), np.uint8)
    annotation.write(box, values)
    values[:] = 9
    read, (_, chunk) = annotation.read(box), next(annotation.chunks())
    annotation.write(box, np.full((4, 4), 2, np.uint8))
    assert (read == 1).all()
    assert (chunk[:4, :4] == 1).all()


def test_pieces_made_later_are_the_same():
    annotation = Annotation()
    followed = Pieces(annotation)
    rng = np.random.default_rng(0)
    annotation.write(WHOLE[0], rng.integers(0, 4, SHAPE).astype(np.uint8))
    late = Pieces(annotation)
    assert late.amount == followed.amount
    for value in (1, 2, 3):
        assert {p.pixels.tobytes() for p in late.of(value)} == {
            p.pixels.tobytes() for p in followed.of(value)
        }


def test_painted_blocks_are_those_with_strokes():
    annotation = Annotation()
    box = Box(0, (2, 30, 60), (3, 34, 70))
    annotation.write(box, np.ones(box.shape, np.uint8))
    painted = annotation.painted_blocks(Slab(0, (2,)), (4, 5), BLOCK)
    expected = np.zeros((4, 5), bool)
    expected[1:3, 3:5] = True
    assert np.array_equal(painted, expected)
    assert not annotation.painted_blocks(Slab(0, (1,)), (4, 5), BLOCK).any()
