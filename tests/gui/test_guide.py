"""Where to paint next: the uncertainty layer and the jump to a place."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_msd.core.box import Box
from napari_msd.trainer.messages import LookHere, Notice


def texts(combo):
    return [combo.itemText(i) for i in range(combo.count())]


@pytest.fixture
def unsure(painted, qtbot):
    """With the uncertainty layer on."""
    learn(painted, qtbot)
    painted.panel.uncertainty_button.click()
    return painted


def learn(msd, qtbot):
    msd.panel.live_button.click()
    msd.client.keep()
    qtbot.waitUntil(lambda: msd.controller.weights.model is not None)


def layer_of(msd):
    return msd.session.layers.uncertainty.layer


# --- the layer -----------------------------------------------------------------------------------


def test_it_lies_where_the_image_lies_and_disturbs_nothing(painted, viewer, image, qtbot):
    learn(painted, qtbot)
    annotation = painted.controller.chosen.annotation
    viewer.layers.selection.active = annotation
    painted.panel.uncertainty_button.click()
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", "cells segmentation", "cells uncertainty", "strokes"]
    layer = viewer.layers["cells uncertainty"]
    assert layer.data.dtype == np.uint8
    assert layer.data.shape == image.data.shape
    np.testing.assert_array_equal(layer.scale, image.scale)
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)
    assert viewer.layers.selection.active is annotation
    assert annotation.mode == "paint"
    assert texts(painted.panel.image_combo) == ["cells"]
    assert texts(painted.panel.annotation_combo) == ["strokes"]
    assert "uncertainty True" in painted.client.calls


def test_that_it_is_being_computed_is_said_until_it_shows(unsure, qtbot):
    assert "Computing" in unsure.status
    unsure.client.predict(1, uncertainty=200)
    qtbot.waitUntil(lambda: "Computing" not in unsure.status)


def test_it_is_refreshed_with_the_overlay(unsure, qtbot):
    unsure.client.predict(1, uncertainty=200)
    qtbot.waitUntil(lambda: bool((layer_of(unsure).data == 200).all()))
    assert (unsure.overlay.data == 1).all()
    unsure.client.predict(2, box=Box(0, (0, 0), (10, 20)), uncertainty=7)
    qtbot.waitUntil(lambda: bool((layer_of(unsure).data[:10, :20] == 7).all()))
    assert (layer_of(unsure).data[10:] == 200).all()


def test_off_takes_it_away_and_the_trainer_stops_telling(unsure, viewer):
    unsure.panel.uncertainty_button.click()
    assert not layer_of(unsure).visible
    assert unsure.client.calls[-1] == "uncertainty False"
    assert not unsure.panel.uncertainty_button.isChecked()


def test_deleted_by_hand_is_off(unsure, viewer):
    viewer.layers.remove("cells uncertainty")
    assert not unsure.panel.uncertainty_button.isChecked()
    assert unsure.client.calls[-1] == "uncertainty False"


def test_it_follows_to_another_image(unsure, viewer):
    viewer.add_image(np.zeros((30, 40), np.float32), name="other")
    unsure.panel.image_combo.setCurrentText("other")
    assert "cells uncertainty" not in viewer.layers
    assert viewer.layers["other uncertainty"].data.shape == (30, 40)
    unsure.client.calls.clear()
    unsure.panel.offers.buttons[0].click()  # another session: the trainer is told anew
    assert unsure.client.calls.index("uncertainty True") > unsure.client.calls.index("open")


def test_without_an_image_the_button_says_why_it_cannot_be_pressed(unsure, viewer):
    unsure.panel.uncertainty_button.click()
    viewer.layers.remove("cells")
    assert not unsure.panel.uncertainty_button.isEnabled()
    assert "Open an image first" in unsure.panel.uncertainty_button.toolTip()


def test_it_goes_with_the_session(unsure, viewer):
    unsure.widget.end()
    assert "cells uncertainty" not in viewer.layers
    assert "cells segmentation" in viewer.layers


# --- Show me -------------------------------------------------------------------------------------


@pytest.mark.parametrize("button", ["show_me_button", "uncertainty_button"])
def test_without_a_network_the_button_says_why_it_cannot_be_pressed(painted, viewer, button):
    button = getattr(painted.panel, button)
    assert not button.isEnabled()
    assert "There is no network yet" in button.toolTip()
    button.click()
    assert len(viewer.layers) == 2


CORNER = Box(0, (0, 0), (20, 20))


def ask(msd, box=CORNER, uncertainty=0.5):
    """Show me, and the trainer's answer."""
    msd.panel.show_me_button.click()
    msd.client.say(LookHere(box, uncertainty))


def test_looking_for_a_place_is_said(unsure):
    unsure.panel.show_me_button.click()
    assert "Looking for the place" in unsure.status


def test_who_paints_meanwhile_is_not_taken_away(unsure, viewer, qtbot):
    unsure.panel.show_me_button.click()
    before = tuple(viewer.scene.camera.center)
    unsure.controller.chosen.annotation.paint((10, 10), 1)
    qtbot.waitUntil(lambda: "Looking" not in unsure.status)
    unsure.client.say(LookHere(Box(0, (90, 90), (99, 99)), 0.5))
    unsure.client.say(Notice("info", "said after it"))
    qtbot.waitUntil(lambda: "said after it" in unsure.status)
    assert tuple(viewer.scene.camera.center) == before


def test_what_was_found_is_past_once_it_is_painted_on(unsure, qtbot):
    ask(unsure, uncertainty=0.62)
    qtbot.waitUntil(lambda: "62" in unsure.status)
    unsure.controller.chosen.annotation.paint((10, 10), 1)
    qtbot.waitUntil(lambda: "62" not in unsure.status)


def test_by_its_key_while_the_annotation_is_painted_on(unsure, viewer, mouse):
    assert viewer.layers.selection.active is unsure.controller.chosen.annotation
    mouse.key(Qt.Key.Key_N, "n")
    assert unsure.client.calls[-1] == "show me"


def test_its_key_is_given_back(unsure, viewer):
    unsure.widget.end()
    keys = {str(key) for key in viewer.keymap}
    assert not keys & {"N", "T", "H"}


def test_the_camera_goes_to_the_middle_of_the_place(unsure, viewer, qtbot):
    active = viewer.layers.selection.active
    ask(unsure, box=Box(0, (32, 64), (96, 128)), uncertainty=0.62)
    qtbot.waitUntil(lambda: "62" in unsure.status)
    # pixels of 0.5 um: rows 32..95, columns 64..127
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (31.75, 47.75))
    assert viewer.layers.selection.active is active
    assert unsure.panel.live_button.isChecked()


def test_a_speck_is_zoomed_in_on_and_a_large_place_is_not(unsure, viewer, qtbot):
    zoom = viewer.scene.camera.zoom
    ask(unsure, box=Box(0, (0, 0), (64, 64)))
    qtbot.waitUntil(lambda: "50" in unsure.status)
    assert viewer.scene.camera.zoom == zoom
    viewer.reset_view()
    qtbot.waitUntil(lambda: unsure.controller.screen.view().shape == (128, 160))
    ask(unsure, box=Box(0, (0, 0), (8, 8)), uncertainty=0.9)
    qtbot.waitUntil(lambda: "90" in unsure.status)
    assert viewer.scene.camera.zoom == pytest.approx(zoom * 4, rel=0.01)


def test_sliders_go_to_the_plane(viewer, open_widget, qtbot):
    from .fake_client import FakeClient

    stack = viewer.add_image(np.zeros((9, 40, 50)), name="stack", scale=(2, 1, 1))
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    learn(msd, qtbot)
    ask(msd, Box(0, (6, 0, 0), (7, 20, 20)))
    qtbot.waitUntil(lambda: msd.controller.screen.shown_index()[:1] == (6,))
    assert viewer.dims.point[0] == 6 * stack.scale[0]


def test_an_answer_about_an_earlier_image_is_not_followed(unsure, viewer):
    before = tuple(viewer.scene.camera.center)
    unsure.panel.show_me_button.click()
    unsure.controller.active_learning.look(LookHere(Box(0, (3, 0, 0), (4, 8, 8)), 0.9))
    assert tuple(viewer.scene.camera.center) == before
