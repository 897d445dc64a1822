"""Axes and modes of stacks, as a person corrects and chooses them; the trainer is a fake one."""

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_msd.core.box import Box
from napari_msd.session.work_state import LiveState

from .fake_client import FakeClient

SHAPE = (6, 40, 50)


def opened(viewer, open_widget, **about):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    viewer.add_image(pixels, name="stack", **about)
    return open_widget(FakeClient)


@pytest.fixture
def slices(viewer, open_widget):
    return opened(viewer, open_widget, axis_labels=("z", "y", "x"), scale=(2.0, 1.0, 1.0))


@pytest.fixture
def unnamed(viewer, open_widget):
    return opened(viewer, open_widget)


def annotate(msd, qtbot):
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    for x in range(5, 40, 3):
        layer.paint((2, 10, x), 1)
        layer.paint((2, 30, x), 2)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)
    return layer


# --- axes --------------------------------------------------------------------------------------


def test_a_guess_is_said_as_one_and_corrected_in_one_click(unnamed, viewer, qtbot):
    panel = unnamed.panel
    assert panel.head.described == "Stack of 6 slices? · 40 × 50"
    assert panel.axes_button.isVisible()
    assert panel.mode_combo.currentText() == "2-D"
    menu = panel.head.axes_menu
    assert not menu.choice(0, "Z").isChecked()
    menu.choice(0, "T").trigger()
    qtbot.waitUntil(lambda: panel.head.described == "Time series of 6 frames · 40 × 50")
    assert viewer.layers["stack"].axis_labels[0] == "t"
    assert not panel.mode_combo.isVisible()  # frames are seen one by one
    menu.choice(0, "Z").trigger()
    qtbot.waitUntil(lambda: panel.head.described == "Stack of 6 slices · 40 × 50")
    assert panel.mode_combo.currentText() == "2.5-D"


def test_a_correction_keeps_strokes_and_names_all_layers_on_the_image(unnamed, viewer, qtbot):
    layer = annotate(unnamed, qtbot)
    qtbot.waitUntil(lambda: not unnamed.controller.strokes.busy)
    before = unnamed.controller.strokes.snapshot.annotation.counts
    unnamed.panel.live_button.click()
    unnamed.panel.head.axes_menu.choice(0, "T").trigger()
    qtbot.waitUntil(lambda: unnamed.controller.chosen.space.axes == "TYX")
    assert unnamed.client.live
    assert set(unnamed.client.strokes) == {(2,)}
    assert unnamed.controller.recorder.document.annotation.counts == before
    assert layer.axis_labels[0] == "t"
    assert viewer.layers["stack segmentation"].axis_labels[0] == "t"


def test_two_axes_change_places(viewer, open_widget, qtbot):
    viewer.add_image(np.zeros((3, 4, 20, 30)), axis_labels=("t", "z", "y", "x"))
    msd = open_widget(FakeClient)
    msd.panel.head.axes_menu.choice(0, "Z").trigger()
    qtbot.waitUntil(lambda: msd.controller.chosen.space.axes == "ZTYX")
    msd.panel.head.axes_menu.choice(1, "Q").trigger()
    qtbot.waitUntil(lambda: msd.controller.chosen.space.axes == "ZQYX")
    msd.panel.head.axes_menu.choice(0, "Q").trigger()
    qtbot.waitUntil(lambda: msd.controller.chosen.space.axes == "QQYX")
    assert len(set(viewer.layers[0].axis_labels)) == 4


def test_a_plane_has_no_axes_to_correct(viewer, open_widget):
    viewer.add_image(np.zeros((20, 30)), name="plane")
    msd = open_widget(FakeClient)
    assert msd.panel.head.described == "Plane · 20 × 30"
    assert not msd.panel.axes_button.isVisible()
    assert not msd.panel.mode_combo.isVisible()


# --- modes -------------------------------------------------------------------------------------


def test_neighbouring_slices_become_channels(slices, viewer, qtbot):
    assert slices.panel.mode_combo.currentText() == "2.5-D"
    assert slices.panel.mode_text.text() == "slices 2 px apart"
    annotate(slices, qtbot)
    settings, spaces, read, _ = slices.client.opened
    assert (settings.mode, settings.context) == ("2.5d", 1)
    assert spaces[0].network_input.values == 3
    box = Box(0, (2, 0, 0), (3, 40, 50))
    pixels = viewer.layers["stack"].data
    np.testing.assert_array_equal(read(box)[0], np.stack(pixels[1:4], axis=-1))


@pytest.mark.parametrize(("text", "mode", "convolved"), [("2-D", "2d", 2), ("3-D", "3d", 3)])
def test_switching_keeps_strokes_live_and_each_modes_network(slices, qtbot, text, mode, convolved):
    annotate(slices, qtbot)
    slices.panel.live_button.click()
    slices.client.keep(b"with neighbours")
    qtbot.waitUntil(lambda: slices.controller.weights.model == b"with neighbours")
    slices.panel.mode_combo.setCurrentText(text)
    settings, spaces, _, model = slices.client.opened
    assert (settings.mode, spaces[0].convolved, model) == (mode, convolved, None)
    assert slices.client.live
    assert slices.controller.state is not LiveState.OFF
    assert slices.panel.mode_text.text() == "2.5-D is proposed"
    slices.panel.mode_combo.setCurrentText("2.5-D")
    assert slices.client.opened[3] == b"with neighbours"
    assert set(slices.client.strokes) == {(2,)}


def test_neighbours_can_be_more(slices, qtbot):
    annotate(slices, qtbot)
    menu = slices.panel.menu
    assert menu.context_spin.isVisibleTo(menu)
    menu.context_spin.setValue(2)
    assert slices.client.space.network_input.values == 5
    slices.panel.mode_combo.setCurrentText("2-D")
    assert not menu.context_spin.isVisibleTo(menu)


def test_predict_all_asks_for_slabs_of_the_mode(slices, qtbot):
    annotate(slices, qtbot)
    slices.panel.live_button.click()
    for text, number in (("2-D", 6), ("3-D", 1)):
        slices.panel.mode_combo.setCurrentText(text)
        slices.client.keep(b"weights")
        qtbot.waitUntil(lambda: slices.controller.weights.model is not None)
        slices.panel.predict_all_button.click()
        assert len(slices.client.boxes) == number


def test_another_image_has_its_own_mode(slices, viewer):
    slices.panel.mode_combo.setCurrentText("2-D")
    viewer.add_image(np.zeros(SHAPE), name="other", axis_labels=("z", "y", "x"))
    slices.panel.image_combo.setCurrentText("other")
    assert slices.panel.mode_combo.currentText() == "2.5-D"
    slices.panel.image_combo.setCurrentText("stack")
    assert slices.panel.mode_combo.currentText() == "2-D"


def test_the_head_does_not_widen_the_dock(slices, viewer):
    QApplication.processEvents()
    before = slices.panel.sizeHint().width(), slices.panel.widget().minimumSizeHint().width()
    viewer.layers["stack"].name = "a very long name of a stack that nobody would want to read" * 3
    QApplication.processEvents()
    after = slices.panel.sizeHint().width(), slices.panel.widget().minimumSizeHint().width()
    assert before == after
