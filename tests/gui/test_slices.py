"""The strip of a stack's slices."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_msd.core.box import Box
from napari_msd.session.slice_confidence import Slices
from napari_msd.trainer.messages import OverlayBlock
from napari_msd.widgets.slice_strip import SliceStrip, said_of

from .fake_client import FakeClient


@pytest.fixture
def stack(viewer, open_widget):
    pixels = np.random.default_rng(0).normal(size=(8, 60, 80)).astype(np.float32)
    viewer.add_image(pixels, name="stack")
    viewer.dims.set_current_step(0, 3)
    return open_widget(FakeClient)


def strip(msd):
    return msd.panel.slice_strip


def test_a_plane_has_no_strip(painted):
    assert not strip(painted).isVisible()


def test_it_tells_of_confidence_and_strokes(stack, qtbot):
    stack.panel.new_annotation_button.click()
    layer = stack.controller.chosen.annotation
    layer.paint((5, 30, 30), 1)
    layer.data[2, 10, 10] = 2
    layer.refresh()
    qtbot.waitUntil(lambda: strip(stack).slices is not None)
    qtbot.waitUntil(lambda: strip(stack).slices.strokes == {2, 5})
    stack.panel.live_button.click()
    box = Box(0, (3, 0, 0), (4, 60, 80))
    labels = np.ones(box.shape, np.uint8)
    stack.client.say(OverlayBlock(box, 1, labels, None, "one", confidence=0.8))
    qtbot.waitUntil(lambda: strip(stack).slices.confidence[3] == pytest.approx(0.8))
    assert strip(stack).slices.current == 3
    assert said_of(strip(stack).slices, 3) == "Slice 3: 80% sure"
    assert said_of(strip(stack).slices, 5) == "Slice 5: not predicted, has strokes"
    assert strip(stack).isVisible()


def test_a_click_goes_to_the_slice(stack, viewer, qtbot):
    qtbot.waitUntil(lambda: strip(stack).slices is not None)
    width = strip(stack).width()
    qtbot.mouseClick(strip(stack), Qt.MouseButton.LeftButton, pos=QPoint(round(width * 6.5 / 8), 5))
    assert viewer.dims.current_step[0] == 6
    qtbot.waitUntil(lambda: strip(stack).slices.current == 6)


def test_it_hides_in_a_view_that_shows_no_slices(stack, viewer, qtbot):
    qtbot.waitUntil(lambda: strip(stack).slices is not None)
    viewer.dims.order = (1, 0, 2)
    qtbot.waitUntil(lambda: strip(stack).slices is None)


def test_more_slices_than_pixels_are_drawn_together(qtbot):
    made = SliceStrip()
    qtbot.addWidget(made)
    made.resize(100, 20)
    made.show_slices(Slices((0.9,) * 1000, frozenset({999}), 500))
    assert made.slice_at(99.9) == 999
    assert made.slice_at(0) == 0
    assert not made.grab().isNull()
