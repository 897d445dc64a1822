"""The segmentation's layer: in place, in colour, and never in the person's way."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_msd.core.box import Box
from napari_msd.trainer.messages import Finished

from .fake_client import FakeClient


def start(msd, qtbot, value=1):
    msd.panel.live_button.click()
    msd.client.predict(value)
    qtbot.waitUntil(lambda: msd.controller.overlay.has_content)
    return msd.overlay


def test_it_lies_where_the_image_lies_just_below_the_annotation(painted, viewer, image, qtbot):
    overlay = start(painted, qtbot)
    assert overlay.name == "cells segmentation"
    assert [layer.name for layer in viewer.layers] == ["cells", "cells segmentation", "strokes"]
    assert overlay.data.shape == image.data.shape
    np.testing.assert_array_equal(overlay.scale, image.scale)
    assert overlay.units == image.units
    assert overlay.axis_labels == image.axis_labels
    assert not overlay.editable


def test_active_layer_selection_and_mode_stay(painted, viewer, image, qtbot):
    layer = painted.controller.chosen.annotation
    viewer.layers.selection = {image, layer}
    viewer.layers.selection.active = image
    image.mode = "transform"
    start(painted, qtbot)
    assert viewer.layers.selection.active is image
    assert image.mode == "transform"
    assert layer.mode == "paint"


def test_it_is_never_offered_as_annotation(painted, qtbot):
    start(painted, qtbot)
    combo = painted.panel.annotation_combo
    assert [combo.itemText(i) for i in range(combo.count())] == ["strokes"]


def test_a_layer_of_its_name_is_left_alone(painted, viewer, image, qtbot):
    theirs = viewer.add_labels(
        np.full(image.data.shape, 7, np.uint8),
        name="cells segmentation",
        scale=image.scale,
        units=image.units,
    )
    painted.panel.annotation_combo.setCurrentText("strokes")
    overlay = start(painted, qtbot)
    assert overlay is not theirs
    assert overlay.name == "cells segmentation 2"
    assert (theirs.data == 7).all()


def test_latest_block_wins(painted, qtbot):
    start(painted, qtbot, 1)
    for value in (2, 1, 2):
        painted.client.predict(value, box=Box(0, (0, 0), (64, 64)))
    qtbot.waitUntil(lambda: (painted.overlay.data[:64, :64] == 2).all())
    assert (painted.overlay.data[64:] == 1).all()


def on_screen(viewer, layer, pixel, mouse):
    """Colour of an image pixel on the canvas."""
    where = mouse.position(layer, pixel)
    picture = viewer.screenshot(canvas_only=True, flash=False)
    ratio = picture.shape[0] / mouse.canvas.height()
    return picture[int(where.y() * ratio), int(where.x() * ratio), :3].astype(int)


def test_only_what_is_new_goes_to_the_screen(painted, viewer, image, qtbot, mouse):
    overlay = start(painted, qtbot, 1)
    painted.controller.chosen.annotation.visible = image.visible = False
    overlay.opacity = 1
    before = on_screen(viewer, overlay, (20, 20), mouse)
    whole, parts = [], []
    overlay.events.set_data.connect(whole.append)
    overlay.events.labels_update.connect(lambda event: parts.append(event.data.shape))
    painted.client.predict(2, box=Box(0, (0, 0), (64, 96)))
    qtbot.waitUntil(lambda: bool(parts))
    assert parts == [(64, 96)]
    assert not whole
    np.testing.assert_array_equal(on_screen(viewer, overlay, (100, 20), mouse), before)
    changed = on_screen(viewer, overlay, (20, 20), mouse)
    assert np.abs(changed - before).max() > 50
    overlay.refresh()  # as when a slider moves: the same picture
    np.testing.assert_array_equal(on_screen(viewer, overlay, (20, 20), mouse), changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda viewer, overlay: setattr(overlay, "contour", 2),
        lambda viewer, overlay: setattr(viewer.dims, "order", (1, 0)),
    ],
    ids=["contour", "turned"],
)
def test_what_cannot_be_sent_in_parts_is_sent_whole(painted, viewer, qtbot, change):
    overlay = start(painted, qtbot, 1)
    change(viewer, overlay)
    whole = []
    overlay.events.set_data.connect(whole.append)
    painted.client.predict(2, box=Box(0, (0, 0), (64, 96)))
    qtbot.waitUntil(lambda: bool(whole))
    assert (overlay.data[:64, :96] == 2).all()


def test_repaints_that_cost_much_come_less_often(painted, qtbot, monkeypatch):
    start(painted, qtbot, 1)
    overlay = painted.controller.overlay
    qtbot.waitUntil(lambda: overlay.cost > 0)
    monkeypatch.setattr(overlay, "cost", 3600.0)
    painted.client.predict(2)
    qtbot.waitUntil(overlay.has_pending_blocks)
    assert (overlay.layer.data == 1).all()
    painted.panel.stop_button.click()
    painted.client.say(
        Finished("predict", True)
    )  # what has arrived is shown at the end at the latest
    qtbot.waitUntil(lambda: (overlay.layer.data == 2).all())


def test_class_colours_reach_overlay_strokes_and_list(painted, qtbot):
    overlay = start(painted, qtbot)
    painted.controller.classes.recolor(1, "#ff0000")
    for layer in (overlay, painted.controller.chosen.annotation):
        np.testing.assert_allclose(layer.colormap.map(1)[:3], (1, 0, 0), atol=0.01)
        assert layer.colormap.map(0)[3] == 0


def test_strokes_keep_their_colours_beside_another_image(painted, viewer):
    strokes = painted.controller.chosen.annotation
    painted.controller.classes.recolor(1, "#ff0000")
    viewer.add_image(np.zeros((40, 50), np.float32), name="other")
    painted.panel.image_combo.setCurrentText("other")
    assert painted.controller.chosen.annotation is not strokes
    np.testing.assert_allclose(strokes.colormap.map(1)[:3], (1, 0, 0), atol=0.01)


def test_a_layer_without_classes_gets_its_colours_back(painted, viewer, image):
    own = viewer.add_labels(np.ones((128, 160), np.uint8), name="own", scale=image.scale)
    before, strokes = own.colormap, painted.controller.chosen.annotation
    painted.session.picker.choose(annotation=own)
    assert own.colormap is not before
    painted.session.picker.choose(annotation=strokes)
    assert own.colormap is before


def test_hidden_while_the_key_is_held(painted, qtbot, mouse):
    overlay = start(painted, qtbot)
    mouse.press_key(Qt.Key.Key_H, "h")
    assert not overlay.visible
    mouse.release_key(Qt.Key.Key_H, "h")
    assert overlay.visible


def test_hidden_by_the_person_it_stays_so(painted, qtbot, mouse):
    overlay = start(painted, qtbot)
    overlay.visible = False
    mouse.key(Qt.Key.Key_H, "h")
    assert not overlay.visible


def test_deleted_by_the_person_it_comes_back_with_the_next_work(painted, viewer, qtbot):
    overlay = start(painted, qtbot)
    viewer.layers.remove(overlay)
    painted.client.predict(2)
    assert not painted.client.live
    start(painted, qtbot, 2)
    assert (viewer.layers["cells segmentation"].data == 2).all()


def test_planes_of_a_stack(viewer, open_widget, qtbot):
    viewer.add_image(np.zeros((4, 32, 32)), name="stack")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    msd.panel.live_button.click()
    msd.client.predict(2, plane=(3,))
    qtbot.waitUntil(lambda: msd.controller.overlay.has_content)
    expected = np.zeros((4, 32, 32), np.uint8)
    expected[3] = 2
    np.testing.assert_array_equal(msd.overlay.data, expected)


def test_visible_region_is_told(viewer, open_widget, qtbot):
    viewer.add_image(np.zeros((400, 500)), name="large")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    qtbot.waitUntil(lambda: msd.client.view is not None)
    viewer.scene.camera.center = (0, 100, 100)
    viewer.scene.camera.zoom = 40
    qtbot.waitUntil(lambda: msd.client.view.shape[1] < 60)
    box = msd.client.view
    assert box == box.clip((400, 500))
    assert box.start[0] < 100 < box.stop[0]
    assert box.start[1] < 100 < box.stop[1]


def test_copy_is_free_to_edit(painted, viewer, qtbot):
    start(painted, qtbot, 2)
    active = viewer.layers.selection.active
    painted.panel.copy_button.click()
    copy = viewer.layers["cells segmentation copy"]
    assert copy.editable
    assert (copy.data == 2).all()
    copy.data[:] = 0
    assert (painted.overlay.data == 2).all()
    assert viewer.layers.selection.active is active
