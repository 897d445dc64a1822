"""The panel's own parts: offers, menu, brush, quality, figures; nothing needs a scroll bar."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QPushButton

from napari_msd.session.classes import ClassInfo
from napari_msd.widgets.menu import Menu
from napari_msd.widgets.quality import Quality, quality, quality_of

from .fake_client import FakeClient


def settle():
    for _ in range(3):
        QApplication.processEvents()


@pytest.fixture
def empty(open_widget, viewer):
    """The panel in a viewer without layers."""
    return open_widget(FakeClient)


# --- the start -----------------------------------------------------------------------------------


def test_an_empty_viewer_tells_how_to_start(empty, viewer):
    panel = empty.panel
    assert panel.start_card.isVisible()
    assert panel.open_image_button.isEnabled()
    assert not panel.new_annotation_button.isVisible()
    viewer.add_image(np.zeros((20, 30), np.uint8), name="later")
    assert not panel.start_card.isVisible()
    assert panel.new_annotation_button.isVisible()


def test_a_sample_is_ready_for_live(empty, viewer):
    empty.panel.sample_button.click()
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei strokes"]
    assert empty.controller.chosen.annotation is viewer.layers["nuclei strokes"]
    assert "Press Live" in empty.status
    assert not empty.controller.classes[1].visible


def test_images_are_opened_by_napari(empty, viewer, tmp_path, monkeypatch):
    from tifffile import imwrite

    path = tmp_path / "cells.tif"
    imwrite(path, np.zeros((20, 30), np.uint8))
    monkeypatch.setattr(
        "napari_msd.plugin.first_steps.QFileDialog.getOpenFileNames", lambda *args: ([path], "")
    )
    empty.panel.open_image_button.click()
    assert empty.panel.image_combo.currentText() == "cells"


def test_what_cannot_be_opened_is_said(empty, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("No reader is able to read it.")

    monkeypatch.setattr("napari.components.viewer_model.ViewerModel.open", fail)
    empty.session.first_steps.open_files(["nothing.xyz"])
    assert "No reader is able" in empty.status
    assert empty.panel.status_label.level == "error"


def test_the_sentence_has_its_action(msd, viewer, image):
    button = msd.panel.next_button
    assert button.text() == "New strokes"
    button.click()
    layer = msd.controller.chosen.annotation
    assert not button.isVisible()
    layer.mode = "pan_zoom"
    assert button.text() == "Paint"
    button.click()
    assert layer.mode == "paint"
    assert msd.panel.show_me_button.isVisible()


# --- offers --------------------------------------------------------------------------------------


@pytest.fixture
def offers(msd):
    """The offer bar, and what was pressed."""
    bar, pressed = msd.panel.offers, []
    bar.pressed = pressed
    return bar


def offer(bar, key, text, *names):
    bar.show_offer(
        key, text, [(name, lambda name=name: bar.pressed.append(name)) for name in names]
    )


def test_without_an_offer_the_bar_is_hidden(offers):
    assert not offers.isVisible()
    assert (offers.key, offers.text, offers.buttons) == ("", "", [])


def test_an_offer_is_made_and_taken(offers):
    offer(offers, "restore", "napari ended unexpectedly.", "Restore", "Not now")
    assert offers.isVisible()
    assert [button.text() for button in offers.buttons] == ["Restore", "Not now"]
    offers.buttons[0].click()
    assert offers.pressed == ["Restore"]
    assert not offers.isVisible()


def test_the_newest_is_shown_and_the_one_before_comes_back(offers):
    offer(offers, "one", "The first.", "A")
    offer(offers, "two", "The second.", "B")
    assert offers.text == "The second."
    offer(offers, "one", "The first, with other words.", "A")
    assert offers.text == "The second."
    offers.withdraw("two")
    assert offers.text == "The first, with other words."
    offers.withdraw("one")
    offers.withdraw("unknown")
    assert not offers.isVisible()


def test_the_newest_function_of_an_offer_is_called(offers):
    offer(offers, "one", "The same words.", "Go")
    button = offers.buttons[0]
    offers.show_offer("one", "The same words.", [("Go", lambda: offers.pressed.append("newest"))])
    assert offers.buttons == [button]
    button.click()
    assert offers.pressed == ["newest"]


def test_what_was_closed_is_not_offered_again(offers):
    offer(offers, "one", "Continue?", "Yes")
    offers.findChild(QPushButton, "close_offer_button").click()
    offer(offers, "one", "Continue?", "Yes")
    assert not offers.isVisible()
    offer(offers, "one", "Continue from another one?", "Yes")
    assert offers.isVisible()
    offers.withdraw("one")
    offer(offers, "one", "Continue?", "Yes")
    assert offers.isVisible()


def test_an_offer_is_shown_as_plain_text_and_takes_no_focus(offers, msd, viewer, qtbot):
    viewer.window._qt_window.activateWindow()
    msd.panel.class_list.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is msd.panel.class_list)
    offer(offers, "one", "<b>“cells & more”</b>", "A & B")
    settle()
    assert QApplication.focusWidget() is msd.panel.class_list
    assert offers.text == "<b>“cells & more”</b>"
    assert offers.buttons[0].text() == "A && B"


# --- the menu ------------------------------------------------------------------------------------


def test_the_menu_opens_below_its_button_and_closes_with_esc(msd, qtbot):
    menu = msd.panel.menu
    assert not menu.isVisible()
    msd.panel.menu_button.click()
    assert menu.isVisible()
    assert menu.x() >= 0
    qtbot.keyClick(menu, Qt.Key.Key_Escape)
    assert not menu.isVisible()


@pytest.mark.parametrize("name", ["open_session", "save_session_as", "sessions", "report"])
def test_actions_of_the_menu_are_grey_until_somebody_carries_them_out(qtbot, name):
    menu = Menu()
    qtbot.addWidget(menu)
    action = getattr(menu, f"{name}_action")
    button = menu.findChild(QPushButton, f"{name}_button")
    done = []
    assert not button.isEnabled()
    action.triggered.connect(lambda: done.append(name))
    action.setEnabled(True)
    menu.show()
    button.click()
    assert done == [name]
    assert not menu.isVisible()


def test_buttons_of_the_menu_work_while_it_is_closed(painted):
    painted.widget.findChild(QPushButton, "update_once_button").click()
    assert painted.controller.work == "update"


# --- the brush -----------------------------------------------------------------------------------


def test_paint_and_erase_are_those_of_the_annotation(painted, viewer, image):
    layer, panel = painted.controller.chosen.annotation, painted.panel
    viewer.layers.selection.active = image
    layer.mode = "pan_zoom"
    assert not panel.paint_button.isChecked()
    panel.paint_button.click()
    assert viewer.layers.selection.active is layer
    assert layer.mode == "paint"
    assert panel.paint_button.isChecked()
    panel.erase_button.click()
    assert layer.mode == "erase"
    assert not panel.paint_button.isChecked()
    panel.erase_button.click()
    assert layer.mode == "paint"
    layer.mode = "erase"  # by napari's own button or key
    assert panel.erase_button.isChecked()


def test_the_brush_size_is_set_and_followed(painted):
    layer, panel = painted.controller.chosen.annotation, painted.panel
    panel.brush_slider.setValue(17)
    assert layer.brush_size == 17
    layer.brush_size = 8
    assert panel.brush_slider.value() == 8
    layer.brush_size = 300  # larger than the slider's end
    assert layer.brush_size == 300
    assert panel.classes.brush_text.text() == "300"


def test_undo_and_redo(painted, qtbot):
    layer, panel = painted.controller.chosen.annotation, painted.panel
    layer.paint((10, 10), 2)
    after = layer.data.copy()
    panel.undo_button.click()
    assert (layer.data != after).any()
    panel.redo_button.click()
    np.testing.assert_array_equal(layer.data, after)


def test_without_strokes_the_brush_cannot_be_taken(msd):
    for name in ("paint", "erase", "undo", "redo"):
        button = getattr(msd.panel, f"{name}_button")
        assert not button.isEnabled()
        assert "Press New" in button.toolTip()


# --- figures in words ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("iou", "margin", "words"),
    [
        (0.95, 0.03, Quality.VERY_GOOD),
        (0.95, 0.2, Quality.VERY_GOOD),
        (0.92, 0.2, Quality.GOOD),  # it may be .72
        (0.8, 0.05, Quality.GOOD),
        (0.6, 0.05, Quality.FAIR),
        (0.3, 0.1, Quality.POOR),
        (0.99, 0.25, Quality.TOO_FEW),
        (0.99, None, Quality.TOO_FEW),
    ],
)
def test_quality_in_words(iou, margin, words):
    assert quality(iou, margin) is words


def test_what_is_not_measured_has_no_quality():
    assert quality_of(ClassInfo(1, "a", "#000000")) is Quality.UNKNOWN
    assert quality_of(ClassInfo(1, "a", "#000000", too_few=2)) is Quality.TOO_FEW


def test_the_curve_opens_the_plot(painted, qtbot):
    panel = painted.panel
    panel.live_button.click()
    for step in (1, 2, 3):
        painted.client.train(step=step, loss=1 / step)
    qtbot.waitUntil(lambda: panel.loss_plot.n_points == (3, 3))
    assert not panel.loss_plot.isVisible()
    panel.sparkline.click()
    assert panel.loss_plot.isVisible()
    panel.sparkline.click()
    assert not panel.loss_plot.isVisible()


def test_when_it_was_saved_is_said(msd):
    label = msd.panel.saved_label
    assert not label.isVisible()
    msd.panel.set_saved("saved 20 s ago")
    assert label.isVisible()
    assert label.text() == "saved 20 s ago"
    usual = label.styleSheet()
    msd.panel.set_saved("not saved: the disk is full", warning=True)
    assert label.styleSheet() != usual
    msd.panel.set_saved("")
    assert not label.isVisible()


def test_planes_that_are_up_to_date_are_counted(viewer, open_widget, qtbot):
    viewer.add_image(np.random.default_rng(0).random((3, 40, 40)), name="stack")
    msd = open_widget(FakeClient)
    label = msd.panel.coverage_label
    msd.panel.new_annotation_button.click()
    msd.panel.live_button.click()
    assert label.text() == ""
    msd.client.predict(1, (0,))
    qtbot.waitUntil(lambda: label.text() == "1 of 3 planes up to date")
    msd.panel.stop_button.click()
    for plane in range(3):
        msd.client.predict(2, (plane,), network="two")
    qtbot.waitUntil(lambda: label.text() == "all up to date")
    msd.client.predict(2, (1,), network="three")
    qtbot.waitUntil(lambda: label.text() == "1 of 3 planes up to date")


def test_a_view_that_takes_long_shows_how_far_it_is(painted, qtbot, monkeypatch):
    from napari_msd.core.box import Box

    painted.panel.live_button.click()
    overlay = painted.controller.overlay
    now = [0.0]
    monkeypatch.setattr(overlay.progress, "_clock", lambda: now[0])
    overlay.progress.restart()
    painted.client.predict(1, box=Box(0, (0, 0), (64, 160)))
    qtbot.waitUntil(lambda: overlay.has_content)
    assert "view" not in painted.panel.progress_bar.format()
    now[0] = 2.0
    painted.client.train(step=20)
    qtbot.waitUntil(lambda: painted.panel.progress_bar.format() == "view 50 %")
    assert painted.panel.progress_bar.value() == 50
    assert "zoom in" in painted.status
    painted.client.keep()  # new weights do not begin it anew
    qtbot.waitUntil(lambda: painted.controller.weights.model is not None)
    assert painted.panel.progress_bar.format() == "view 50 %"
    painted.client.predict(1, box=Box(0, (64, 0), (128, 160)))
    qtbot.waitUntil(lambda: "view" not in painted.panel.progress_bar.format())


# --- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1200, 800), (1000, 640)])
def test_nothing_needs_a_scroll_bar(painted, viewer, qtbot, size):
    for _ in range(10):
        painted.controller.classes.add(name="a long name, " * 4)
    viewer.layers[0].name = "a layer with a name of far more than forty characters"
    offer_bar = painted.panel.offers
    offer_bar.show_offer("x", "napari ended unexpectedly. " * 3, [("Yes", print), ("No", print)])
    painted.panel.set_saved("saved 20 s ago")
    viewer.window.resize(*size)
    qtbot.waitUntil(lambda: viewer.window._qt_window.height() == size[1])
    settle()
    panel = painted.panel
    assert not panel.verticalScrollBar().isVisible()
    assert not panel.horizontalScrollBar().isVisible()
    bottom = panel.saved_label.mapTo(panel, panel.saved_label.rect().bottomLeft()).y()
    assert bottom <= panel.height()
    assert panel.class_list.count() == 12


def test_more_classes_leave_live_in_its_place(painted, viewer):
    viewer.window.resize(1200, 800)
    settle()
    button = painted.panel.live_button
    before = button.mapTo(painted.panel, button.rect().topLeft())
    for _ in range(3):
        painted.panel.add_class_button.click()
    settle()
    assert button.mapTo(painted.panel, button.rect().topLeft()) == before


def test_space_after_a_click_does_not_press_the_button_again(painted, viewer, mouse, qtbot):
    viewer.window._qt_window.activateWindow()
    mouse.canvas.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is mouse.canvas)
    qtbot.mouseClick(painted.panel.live_button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)  # napari: move the image
    assert painted.panel.live_button.isChecked()
