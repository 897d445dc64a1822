"""How sure the network is of each slice."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.space import Space
from napari_msd.document.annotation import Annotation
from napari_msd.session.slice_confidence import SliceConfidence

STACK = Space("ZYX", (6, 100, 100))


def along(known, shown=(0, 0, 0), space=STACK, annotation=None):
    return known.along(space, shown, annotation or Annotation())


def test_what_was_not_predicted_is_not_known():
    slices = along(SliceConfidence(), (2, 0, 0))
    assert slices.confidence == (None,) * 6
    assert slices.current == 2


def test_blocks_count_by_their_size():
    known = SliceConfidence()
    known.note(Box(0, (1, 0, 0), (2, 100, 75)), 0.8, STACK)
    known.note(Box(0, (1, 0, 75), (2, 100, 100)), 0.4, STACK)
    assert along(known).confidence[1] == pytest.approx(0.7)


def test_a_slice_that_is_predicted_again_is_as_it_is_now():
    known = SliceConfidence()
    known.note(Box(0, (1, 0, 0), (2, 100, 100)), 0.5, STACK)
    known.note(Box(0, (1, 0, 0), (2, 100, 100)), 0.9, STACK)
    assert along(known).confidence[1] == pytest.approx(0.9)
    known.note(Box(0, (1, 0, 0), (2, 50, 100)), 0.5, STACK)
    assert along(known).confidence[1] == pytest.approx(0.7)


def test_a_block_of_a_volume_tells_of_all_its_slices():
    known = SliceConfidence()
    known.note(Box(0, (2, 0, 0), (5, 100, 100)), 0.75, STACK)
    assert along(known).confidence == (None, None, 0.75, 0.75, 0.75, None)
    known.forget()
    assert along(known).confidence == (None,) * 6


def test_of_a_time_series_the_slices_of_the_shown_time_are_told():
    space = Space("TZYX", (2, 3, 100, 100))
    known, annotation = SliceConfidence(), Annotation()
    known.note(Box(0, (1, 2, 0, 0), (2, 3, 100, 100)), 0.9, space)
    annotation.write(Box(0, (1, 0, 5, 5), (2, 1, 6, 6)), np.ones((1, 1, 1, 1), np.uint8))
    before = along(known, (0, 1, 0, 0), space, annotation)
    assert (before.confidence, before.strokes) == ((None, None, None), frozenset())
    now = along(known, (1, 1, 0, 0), space, annotation)
    assert now.confidence == (None, None, pytest.approx(0.9))
    assert (now.strokes, now.current) == (frozenset({0}), 1)
