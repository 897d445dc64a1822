"""Where to paint next: the uncertainty layer and the jump to a place."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_msd.planes import Region
from napari_msd.worker.messages import LookHere


def texts(combo):
    return [combo.itemText(i) for i in range(combo.count())]


@pytest.fixture
def unsure(painted, qtbot):
    """With the uncertainty layer on."""
    painted.panel.live_button.click()
    painted.client.keep()
    qtbot.waitUntil(lambda: painted.controller.model is not None)
    painted.panel.uncertainty_button.click()
    return painted


def layer_of(msd):
    return msd.controller.guide.uncertainty.layer


# --- the layer -----------------------------------------------------------------------------------


def test_it_lies_where_the_image_lies_and_disturbs_nothing(painted, viewer, image):
    annotation = painted.controller.annotation
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
    assert "press Live" in painted.status


def test_it_is_refreshed_with_the_overlay(unsure, qtbot):
    unsure.client.predict(1, uncertainty=200)
    qtbot.waitUntil(lambda: bool((layer_of(unsure).data == 200).all()))
    assert (unsure.overlay.data == 1).all()
    unsure.client.predict(2, region=Region(0, 0, 10, 20), uncertainty=7)
    qtbot.waitUntil(lambda: bool((layer_of(unsure).data[:10, :20] == 7).all()))
    assert (layer_of(unsure).data[10:] == 200).all()


def test_off_takes_it_away_and_the_trainer_stops_telling(unsure, viewer):
    unsure.panel.uncertainty_button.click()
    assert "cells uncertainty" not in viewer.layers
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
    unsure.panel.predict_all_button.click()  # another session: the trainer is told anew
    assert unsure.client.calls.index("uncertainty True") > unsure.client.calls.index("open")


def test_without_an_image_the_button_springs_back(unsure, viewer):
    unsure.panel.uncertainty_button.click()
    viewer.layers.remove("cells")
    unsure.panel.uncertainty_button.click()
    assert not unsure.panel.uncertainty_button.isChecked()
    assert unsure.panel.status_label.level == "error"


def test_it_goes_with_the_session(unsure, viewer):
    unsure.widget.end()
    assert "cells uncertainty" not in viewer.layers
    assert "cells segmentation" in viewer.layers


# --- Show me -------------------------------------------------------------------------------------


def test_without_a_network_it_says_so(painted):
    painted.panel.show_me_button.click()
    assert "no network yet" in painted.status
    assert "show me" not in painted.client.calls


def test_by_its_key_while_the_annotation_is_painted_on(unsure, viewer, mouse):
    assert viewer.layers.selection.active is unsure.controller.annotation
    mouse.key(Qt.Key.Key_N, "n")
    assert unsure.client.calls[-1] == "show me"


def test_its_key_is_given_back(unsure, viewer):
    unsure.widget.end()
    keys = {str(key) for key in viewer.keymap}
    assert not keys & {"N", "T", "H"}


def test_the_camera_goes_to_the_middle_of_the_place(unsure, viewer, qtbot):
    active = viewer.layers.selection.active
    unsure.client.say(LookHere((), Region(32, 64, 96, 128), 0.62))
    qtbot.waitUntil(lambda: "62" in unsure.status)
    # pixels of 0.5 um: rows 32..95, columns 64..127
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (31.75, 47.75))
    assert viewer.layers.selection.active is active
    assert unsure.panel.live_button.isChecked()


def test_a_speck_is_zoomed_in_on_and_a_large_place_is_not(unsure, viewer, qtbot):
    zoom = viewer.scene.camera.zoom
    unsure.client.say(LookHere((), Region(0, 0, 64, 64), 0.5))
    qtbot.waitUntil(lambda: "50" in unsure.status)
    assert viewer.scene.camera.zoom == zoom
    viewer.reset_view()
    qtbot.waitUntil(lambda: unsure.controller.view.view().region.shape == (128, 160))
    unsure.client.say(LookHere((), Region(0, 0, 8, 8), 0.9))
    qtbot.waitUntil(lambda: "90" in unsure.status)
    assert viewer.scene.camera.zoom == pytest.approx(zoom * 4, rel=0.01)


def test_sliders_go_to_the_plane(viewer, open_widget, qtbot):
    from fake_client import FakeClient

    stack = viewer.add_image(np.zeros((9, 40, 50)), name="stack", scale=(2, 1, 1))
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    msd.client.say(LookHere((6,), Region(0, 0, 20, 20), 0.5))
    qtbot.waitUntil(lambda: msd.controller.view.shown_plane() == (6,))
    assert viewer.dims.point[0] == 6 * stack.scale[0]


def test_an_answer_about_an_earlier_image_is_not_followed(unsure, viewer):
    before = tuple(viewer.scene.camera.center)
    unsure.controller.guide.look(LookHere((3,), Region(0, 0, 8, 8), 0.9))
    assert tuple(viewer.scene.camera.center) == before
