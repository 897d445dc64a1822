"""Where to paint next: the least sure place, away from strokes, never twice."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document import Annotation
from napari_msd.document.pieces import BLOCK
from napari_msd.inference.suggestions import Suggestions

SHAPE = (12 * BLOCK, 16 * BLOCK)
SIDE = 4 * BLOCK
EVERYTHING = Box.whole(0, SHAPE)
SLAB = Slab(0, ())


def spot(top, left, value, base=20):
    """Uncertainty of a plane with one unsure square."""
    plane = np.full(SHAPE, base, np.uint8)
    plane[top : top + SIDE, left : left + SIDE] = value
    return plane


def suggestions(plane=None, slab=SLAB):
    made = Suggestions({0: SHAPE, 1: SHAPE})
    made.note(slab.box((0, 0), SHAPE), spot(64, 128, 250) if plane is None else plane)
    return made


def paint(store, box, value=1):
    store.write(box, np.full(box.shape, value, np.uint8))


def overlap(a, b):
    return not a.box.intersect(b.box).empty


def test_the_least_sure_place_comes_first():
    found = suggestions().next(Annotation(), SLAB)
    assert found.box == Box(0, (64, 128), (64 + SIDE, 128 + SIDE))
    assert found.uncertainty == pytest.approx(250 / 255)


def test_never_the_same_place_twice():
    made, store, seen = suggestions(), Annotation(), []
    while (found := made.next(store, SLAB)) is not None:
        assert not any(overlap(found, other) for other in seen)
        seen.append(found)
    assert len(seen) >= 4
    scores = [found.uncertainty for found in seen]
    assert scores == sorted(scores, reverse=True)


def test_places_with_strokes_are_left_out():
    made, store = suggestions(), Annotation()
    paint(store, Box(0, (64 + 16, 128 + 16), (64 + 32, 128 + 32)))
    found = made.next(store, SLAB)
    assert store.read(found.box.grow((-BLOCK, -BLOCK))).any() == np.False_


def test_where_it_is_sure_there_is_nothing_to_show():
    assert suggestions(np.full(SHAPE, 2, np.uint8)).next(Annotation(), SLAB) is None
    assert Suggestions({0: SHAPE}).next(Annotation(), SLAB) is None


def test_once_the_network_changed_much_places_count_as_new():
    made, store = suggestions(), Annotation()
    first = made.next(store, SLAB)
    made.note(Box.whole(0, SHAPE), spot(64, 128, 245))  # hardly changed
    assert not overlap(made.next(store, SLAB), first)
    made.note(Box.whole(0, SHAPE), spot(64, 128, 250, base=120))
    assert made.next(store, SLAB).box == first.box


def test_a_place_that_was_painted_and_erased_can_be_shown_again():
    made, store = suggestions(), Annotation()
    first = made.next(store, SLAB)
    paint(store, first.box)
    made.next(store, SLAB)
    paint(store, first.box, 0)
    assert overlap(made.next(store, SLAB), first)


def test_the_shown_plane_comes_before_others_that_are_known():
    made, store = suggestions(spot(0, 0, 100), slab=Slab(0, (3,))), Annotation()
    made.note(Slab(1, (5,)).box((0, 0), SHAPE), spot(64, 128, 250))
    shown = Slab(0, (3,))
    assert shown == Slab.of(made.next(store, shown).box, 2)
    while Slab.of((found := made.next(store, shown)).box, 2) == shown:
        pass
    assert Slab.of(found.box, 2) == Slab(1, (5,))


def test_tiles_that_cut_blocks_add_up_to_the_plane():
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 255, SHAPE).astype(np.uint8)
    parts = Suggestions({0: SHAPE})
    for top, bottom in ((0, 64), (64, SHAPE[0])):
        for left, right in ((0, 112), (112, SHAPE[1])):
            region = Box(0, (top, left), (bottom, right))
            parts.note(region, plane[region.slices])
    assert parts.next(Annotation(), SLAB) == suggestions(plane).next(Annotation(), SLAB)


@pytest.mark.parametrize("shape", [(5, 7), (16, 200), (33, 40)])
def test_planes_smaller_than_a_window(shape):
    made = Suggestions({0: shape})
    made.note(Box.whole(0, shape), np.full(shape, 200, np.uint8))
    found = made.next(Annotation(), SLAB)
    assert found.box == found.box.clip(shape)
    assert found.uncertainty == pytest.approx(200 / 255)
