"""Where to paint next: the least sure place, away from strokes, never twice."""

import numpy as np
import pytest

from napari_msd.core.planes import Region, whole
from napari_msd.document import StrokeStore
from napari_msd.document.annotation import BLOCK
from napari_msd.inference.suggestions import Suggestions

SHAPE = (12 * BLOCK, 16 * BLOCK)
SIDE = 4 * BLOCK


def spot(top, left, value, base=20):
    """Uncertainty of a plane with one unsure square."""
    plane = np.full(SHAPE, base, np.uint8)
    plane[top : top + SIDE, left : left + SIDE] = value
    return plane


def suggestions(plane=None, key=()):
    made = Suggestions(SHAPE)
    made.note(key, whole(SHAPE), spot(64, 128, 250) if plane is None else plane)
    return made


def paint(store, region, value=1, plane=()):
    store.write(plane, region, np.full(region.shape, value, np.uint8))


def overlap(a, b):
    return not a.region.intersect(b.region).empty


def test_the_least_sure_place_comes_first():
    found = suggestions().next(StrokeStore(), ())
    assert found.region == Region(64, 128, 64 + SIDE, 128 + SIDE)
    assert found.uncertainty == pytest.approx(250 / 255)


def test_never_the_same_place_twice():
    made, store, seen = suggestions(), StrokeStore(), []
    while (found := made.next(store, ())) is not None:
        assert not any(overlap(found, other) for other in seen)
        seen.append(found)
    assert len(seen) >= 4
    scores = [found.uncertainty for found in seen]
    assert scores == sorted(scores, reverse=True)


def test_places_with_strokes_are_left_out():
    made, store = suggestions(), StrokeStore()
    paint(store, Region(64 + 16, 128 + 16, 64 + 32, 128 + 32))
    found = made.next(store, ())
    assert store.read((), found.region.grow(-BLOCK)).any() == np.False_


def test_where_it_is_sure_there_is_nothing_to_show():
    assert suggestions(np.full(SHAPE, 2, np.uint8)).next(StrokeStore(), ()) is None
    assert Suggestions(SHAPE).next(StrokeStore(), ()) is None


def test_once_the_network_changed_much_places_count_as_new():
    made, store = suggestions(), StrokeStore()
    first = made.next(store, ())
    made.note((), whole(SHAPE), spot(64, 128, 245))  # hardly changed
    assert not overlap(made.next(store, ()), first)
    made.note((), whole(SHAPE), spot(64, 128, 250, base=120))
    assert made.next(store, ()).region == first.region


def test_a_place_that_was_painted_and_erased_can_be_shown_again():
    made, store = suggestions(), StrokeStore()
    first = made.next(store, ())
    paint(store, first.region)
    made.next(store, ())
    paint(store, first.region, 0)
    assert overlap(made.next(store, ()), first)


def test_the_shown_plane_comes_before_others_that_are_known():
    made, store = suggestions(spot(0, 0, 100), key=(3,)), StrokeStore()
    made.note((5,), whole(SHAPE), spot(64, 128, 250))
    assert made.next(store, (3,)).plane == (3,)
    while (found := made.next(store, (3,))).plane == (3,):
        pass
    assert found.plane == (5,)


def test_tiles_that_cut_blocks_add_up_to_the_plane():
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 255, SHAPE).astype(np.uint8)
    parts = Suggestions(SHAPE)
    for top, bottom in ((0, 64), (64, SHAPE[0])):
        for left, right in ((0, 112), (112, SHAPE[1])):
            region = Region(top, left, bottom, right)
            parts.note((), region, plane[region.slices])
    assert parts.next(StrokeStore(), ()) == suggestions(plane).next(StrokeStore(), ())


@pytest.mark.parametrize("shape", [(5, 7), (16, 200), (33, 40)])
def test_planes_smaller_than_a_window(shape):
    made = Suggestions(shape)
    made.note((), whole(shape), np.full(shape, 200, np.uint8))
    found = made.next(StrokeStore(), ())
    assert found.region == found.region.clip(shape)
    assert found.uncertainty == pytest.approx(200 / 255)
