"""What is seen over the image: eyes of classes, segmentation or uncertainty, ring, lasso."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QMenu, QWidget

from napari_msd.core.box import Box
from napari_msd.session.view_mode import ViewMode
from napari_msd.trainer.messages import LookHere
from napari_msd.viewer.lasso import inside

from .fake_client import FakeClient


@pytest.fixture
def segmented(painted, qtbot):
    """Trained; the upper half is class 1, the lower half class 2."""
    painted.panel.live_button.click()
    painted.client.keep()
    painted.client.predict(1, box=Box(0, (0, 0), (64, 160)))
    painted.client.predict(2, box=Box(0, (64, 0), (128, 160)))
    qtbot.waitUntil(lambda: bool((painted.overlay.data[64:] == 2).all()))
    return painted


def alpha(layer, value):
    return layer.colormap.map(value)[3]


# --- eyes ----------------------------------------------------------------------------------------


def click_eye(msd, qtbot, row):
    rows = msd.panel.class_list
    rect = rows.visualItemRect(rows.item(row))
    where = rect.center()
    where.setX(rect.right() - 11)
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=where)


def test_a_new_annotation_hides_its_background(segmented):
    assert segmented.controller.classes.hidden == {1}
    assert alpha(segmented.overlay, 1) == 0
    assert alpha(segmented.overlay, 2) == 1
    assert alpha(segmented.controller.chosen.annotation, 1) == 1


def test_the_eye_shows_and_hides_without_changing_data_or_brush(segmented, qtbot):
    layer = segmented.controller.chosen.annotation
    data, picked = segmented.overlay.data.copy(), layer.selected_label
    click_eye(segmented, qtbot, 0)
    assert alpha(segmented.overlay, 1) == 1
    click_eye(segmented, qtbot, 1)
    assert alpha(segmented.overlay, 2) == 0
    assert segmented.controller.classes.hidden == {2}
    np.testing.assert_array_equal(segmented.overlay.data, data)
    assert layer.selected_label == picked


def test_an_annotation_that_exists_hides_nothing(viewer, image, open_widget):
    viewer.add_labels(
        np.ones(image.data.shape, np.uint8), name="mine", scale=image.scale, units=image.units
    )
    assert open_widget(FakeClient).controller.classes.hidden == set()


def test_hidden_classes_stay_hidden_when_the_panel_is_opened_again(
    segmented, viewer, open_widget, qtbot
):
    segmented.controller.classes.show(1, True)
    segmented.controller.classes.show(2, False)
    viewer.window.remove_dock_widget(segmented.dock)
    qtbot.waitUntil(lambda: segmented.widget.session is None)
    again = open_widget(FakeClient, name="again")
    assert again.controller.classes.hidden == {2}
    assert alpha(again.overlay, 2) == 0


def test_a_hidden_class_can_be_exported_and_copied(segmented, viewer):
    segmented.session.results.copy_segmentation()
    copy = viewer.layers["cells segmentation copy"]
    assert alpha(copy, 1) == 1
    assert (copy.data[:64] == 1).all()


# --- one of three --------------------------------------------------------------------------------


def test_before_there_is_anything_to_see_nothing_can_be_chosen(painted):
    for name in ("segmentation", "uncertainty", "image"):
        assert not getattr(painted.panel, f"{name}_button").isEnabled()


def test_uncertainty_takes_the_place_of_the_segmentation(segmented, viewer):
    panel = segmented.panel
    panel.uncertainty_button.click()
    assert segmented.session.view_switch.mode is ViewMode.UNCERTAINTY
    assert not segmented.overlay.visible
    assert viewer.layers["cells uncertainty"].visible
    assert [b.isChecked() for b in (panel.segmentation_button, panel.uncertainty_button)] == [
        False,
        True,
    ]
    panel.segmentation_button.click()
    assert segmented.overlay.visible
    assert not viewer.layers["cells uncertainty"].visible


def test_certain_pixels_show_the_image(segmented, viewer, qtbot):
    segmented.panel.uncertainty_button.click()
    colormap = viewer.layers["cells uncertainty"].colormap
    low, high = colormap.map(np.array([0.05, 1.0]))
    assert low[3] == 0
    assert high[3] == 1


def test_the_image_alone(segmented, viewer):
    segmented.panel.image_button.click()
    assert not segmented.overlay.visible
    assert segmented.controller.chosen.annotation.visible
    segmented.panel.image_button.click()  # pressed again: back
    assert segmented.overlay.visible


def test_the_eye_of_the_layer_list_is_followed(segmented):
    segmented.overlay.visible = False
    assert segmented.panel.image_button.isChecked()
    segmented.overlay.visible = True
    assert segmented.panel.segmentation_button.isChecked()


def test_a_key_hides_the_uncertainty_too(segmented, viewer, mouse):
    segmented.panel.uncertainty_button.click()
    layer = viewer.layers["cells uncertainty"]
    mouse.press_key(Qt.Key.Key_H, "h")
    assert not layer.visible
    mouse.release_key(Qt.Key.Key_H, "h")
    assert layer.visible
    assert segmented.panel.uncertainty_button.isChecked()


def test_opacity_is_that_of_what_is_seen(segmented, viewer):
    slider = segmented.panel.opacity_slider
    slider.setValue(30)
    assert segmented.overlay.opacity == pytest.approx(0.3)
    segmented.overlay.opacity = 0.6
    assert slider.value() == 60
    segmented.panel.uncertainty_button.click()
    slider.setValue(50)
    assert viewer.layers["cells uncertainty"].opacity == pytest.approx(0.5)
    assert segmented.overlay.opacity == pytest.approx(0.6)
    segmented.panel.image_button.click()
    assert not slider.isEnabled()


# --- Show me's ring ------------------------------------------------------------------------------


def test_a_ring_marks_the_place(segmented, viewer, qtbot):
    layers, active = list(viewer.layers), viewer.layers.selection.active
    marker = segmented.session.marker
    segmented.panel.show_me_button.click()
    segmented.client.say(LookHere(Box(0, (20, 30), (60, 70)), 0.5))
    qtbot.waitUntil(lambda: marker.ring is not None)
    ring = marker.ring
    assert ring.isVisible()
    assert ring.testAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    assert list(viewer.layers) == layers
    assert viewer.layers.selection.active is active
    picture = ring.grab().toImage()
    middle = picture.pixelColor(picture.width() // 2, picture.height() // 2)
    assert middle.alpha() == 0  # the camera moved there: one sees what is in the ring
    assert "in the ring" in segmented.status


@pytest.mark.parametrize("end", ["paint", "another sentence", "another command", "3-D"])
def test_the_ring_goes_with_its_sentence(segmented, viewer, qtbot, end):
    marker, controller = segmented.session.marker, segmented.controller
    segmented.panel.show_me_button.click()
    segmented.client.say(LookHere(Box(0, (20, 30), (60, 70)), 0.5))
    qtbot.waitUntil(lambda: marker.ring is not None)
    if end == "paint":
        controller.chosen.annotation.paint((40, 50), 2)
    elif end == "another sentence":
        controller.notices.warn("Something else happened.")
    elif end == "another command":
        segmented.panel.live_button.click()
    else:
        viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: marker.ring is None)


def test_the_ring_goes_when_another_plane_is_shown(open_widget, viewer):
    image = viewer.add_image(np.zeros((3, 64, 80), np.float32), name="stack")
    marker = open_widget(FakeClient).session.marker
    marker.show(image, Box(0, (0, 20, 30), (1, 40, 50)))
    assert marker.ring is not None
    viewer.dims.set_point(0, 2)
    assert marker.ring is None


def test_the_ring_lies_around_the_box(segmented, viewer, image, mouse):
    marker = segmented.session.marker
    marker.show(image, Box(0, (20, 30), (60, 70)))
    picture = marker.ring.grab().toImage()
    for row, column in ((19.5, 49.5), (59.5, 49.5), (39.5, 29.5), (39.5, 69.5)):
        where = mouse.position(image, (row, column))
        color = picture.pixelColor(round(where.x()), round(where.y()))
        assert color.name() == "#ffe14d", (row, column)


# --- the lasso -----------------------------------------------------------------------------------


@pytest.fixture
def lasso(segmented, mouse):
    """Draws an outline with the mouse, through these pixels."""

    def draw(*corners):
        segmented.panel.lasso_button.click()
        sheet = segmented.widget.window().findChild(QWidget, "lasso_sheet")
        layer = segmented.controller.chosen.annotation
        points = [mouse.position(layer, corner) for corner in corners]
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        kinds = [QEvent.Type.MouseButtonPress, *[QEvent.Type.MouseMove] * (len(points) - 1)]
        for kind, point in zip(kinds, points, strict=True):
            send(sheet, kind, point, left if kind is kinds[0] else none, left)
        send(sheet, QEvent.Type.MouseButtonRelease, points[-1], left, none)

    return draw


def send(widget, kind, point, button, buttons):
    where = QPointF(widget.mapToGlobal(point.toPoint()))
    event = QMouseEvent(kind, point, where, button, buttons, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


def test_what_is_right_becomes_strokes(segmented, lasso, viewer, qtbot):
    layer = segmented.controller.chosen.annotation
    viewer.layers.selection.active = viewer.layers["cells"]
    before, layers = layer.data.copy(), list(viewer.layers)
    lasso((50, 90), (50, 150), (100, 150), (100, 90))
    new = (layer.data != before) & (before == 0)
    assert (layer.data[before > 0] == before[before > 0]).all()
    assert new[52:98, 92:148].sum() == (before[52:98, 92:148] == 0).sum()
    assert not new[:48].any()
    assert not new[:, :88].any()
    np.testing.assert_array_equal(layer.data[new], segmented.overlay.data[new])
    assert "became strokes" in segmented.status
    assert list(viewer.layers) == layers
    assert viewer.layers.selection.active is viewer.layers["cells"]
    assert layer.mode == "paint"
    assert not segmented.panel.lasso_button.isChecked()
    qtbot.waitUntil(lambda: (segmented.client.strokes[()] == layer.data).all())
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_a_click_draws_nothing_and_esc_ends_it(segmented, lasso, viewer, qtbot):
    layer = segmented.controller.chosen.annotation
    before = layer.data.copy()
    lasso((50, 90))
    assert segmented.session.lasso.active
    assert "Draw around" in segmented.status
    qtbot.keyClick(segmented.session.lasso.sheet, Qt.Key.Key_Escape)
    assert not segmented.session.lasso.active
    assert not segmented.panel.lasso_button.isChecked()
    assert "Draw around" not in segmented.status
    np.testing.assert_array_equal(layer.data, before)


def test_another_image_ends_drawing(segmented, viewer):
    segmented.panel.lasso_button.click()
    viewer.add_image(np.zeros((30, 40), np.float32), name="other")
    segmented.panel.image_combo.setCurrentText("other")
    assert not segmented.session.lasso.active


def test_pixels_inside_an_outline():
    square = np.array([(1.0, 1.0), (1.0, 3.0), (3.0, 3.0), (3.0, 1.0)])
    expected = [(row, column) for row in (1, 2, 3) for column in (1, 2, 3)]
    assert inside(square, (10, 10)).tolist() == [list(pixel) for pixel in expected]
    assert inside(square, (2, 10)).tolist() == [[1, 1], [1, 2], [1, 3]]
    assert inside(square - 20, (10, 10)).shape == (0, 2)
    assert inside(square[:2], (10, 10)).shape == (0, 2)


@pytest.mark.parametrize("what", ["ring", "lasso"])
def test_napari_may_close_while_it_is_shown(segmented, viewer, image, qtbot, what):
    client = segmented.client
    if what == "ring":
        segmented.session.marker.show(image, Box(0, (20, 30), (60, 70)))
    else:
        segmented.panel.lasso_button.click()
    viewer.close()
    qtbot.waitUntil(lambda: client.closed)


# --- the menu of a class -------------------------------------------------------------------------


def open_menu(msd, qtbot, row):
    qtbot.waitUntil(lambda: msd.session.findChild(QMenu, "class_menu") is None)  # the one before
    rows = msd.panel.class_list
    rows.customContextMenuRequested.emit(rows.visualItemRect(rows.item(row)).center())
    menu = msd.session.findChild(QMenu, "class_menu")
    qtbot.waitUntil(menu.isVisible)
    return menu, {action.text(): action for action in menu.actions()}


def test_a_class_has_a_menu(segmented, qtbot):
    menu, actions = open_menu(segmented, qtbot, 0)
    assert [text for text in actions if text] == [
        "Rename",
        "Colour …",
        "Show in the segmentation",
        "Merge into",
        "Remove",
    ]
    actions["Show in the segmentation"].trigger()
    assert segmented.controller.classes.hidden == set()
    menu.close()
    menu, actions = open_menu(segmented, qtbot, 0)
    actions["Hide in the segmentation"].trigger()
    assert segmented.controller.classes.hidden == {1}
    (other,) = actions["Merge into"].menu().actions()
    assert other.text() == "foreground"
    other.trigger()
    assert not (segmented.controller.chosen.annotation.data == 1).any()
    menu.close()
