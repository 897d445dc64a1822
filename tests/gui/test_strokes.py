"""Every way to change strokes reaches the trainer, as differences."""

import numpy as np
import pytest
from qtpy.QtCore import Qt


def same(msd, plane=()):
    """Whether the trainer knows exactly what is painted."""
    layer = msd.controller.chosen.annotation
    known = msd.client.strokes.get(plane, np.zeros(layer.data.shape[-2:], np.uint8))
    return np.array_equal(known, layer.data[plane])


def test_mouse_stroke(msd, qtbot, mouse):
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    mouse.stroke(layer, (40, 30), (60, 70))
    assert layer.data.any()
    qtbot.waitUntil(lambda: bool(msd.client.strokes) and same(msd))
    assert msd.controller.classes[1].pixels == np.count_nonzero(layer.data)


def test_undo_and_redo(painted, qtbot, mouse):
    layer = painted.controller.chosen.annotation
    before = layer.data.copy()
    mouse.stroke(layer, (20, 20), (20, 120))
    qtbot.waitUntil(lambda: same(painted))
    assert not np.array_equal(layer.data, before)
    layer.undo()
    assert np.array_equal(layer.data, before)
    qtbot.waitUntil(lambda: same(painted))
    layer.redo()
    qtbot.waitUntil(lambda: same(painted) and not np.array_equal(layer.data, before))


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.fill((60, 30), 2),
        lambda layer: layer.data_setitem((np.arange(30), np.arange(30)), 3),
        lambda layer: (layer.data.__setitem__((slice(5, 9), slice(5, 9)), 2), layer.refresh()),
        lambda layer: setattr(layer, "data", np.roll(layer.data, 7, axis=0)),
        lambda layer: setattr(layer, "data", np.zeros_like(layer.data)),
    ],
    ids=["fill", "data_setitem", "script", "other data", "all erased"],
)
def test_changes_by_other_means(painted, qtbot, change):
    change(painted.controller.chosen.annotation)
    qtbot.waitUntil(lambda: same(painted))


def test_a_painted_value_without_a_class_makes_one(painted, qtbot):
    painted.controller.chosen.annotation.paint((20, 20), 7)
    qtbot.waitUntil(lambda: 7 in painted.controller.classes)
    assert painted.controller.classes[7].pixels == 21
    texts = [painted.panel.class_list.item(i).text() for i in range(3)]
    assert texts == ["background", "foreground", "class 7"]


def test_values_that_cannot_be_classes_are_said(open_widget, image, viewer, qtbot):
    from .fake_client import FakeClient

    data = np.zeros(image.data.shape, np.int32)
    data[5:9, 5:9], data[20:30, 20:30] = 300, 1
    viewer.add_labels(data, name="from elsewhere", scale=image.scale, units=image.units)
    msd = open_widget(FakeClient)
    qtbot.waitUntil(lambda: "255" in msd.status)
    assert msd.controller.strokes.snapshot.annotation.counts == {1: 100}


def test_strokes_on_planes_of_a_stack(viewer, open_widget, qtbot, mouse):
    from .fake_client import FakeClient

    viewer.add_image(np.random.default_rng(0).random((6, 64, 64)), name="stack")
    msd = open_widget(FakeClient)
    assert "6 slices" in msd.panel.head.described
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.brush_size = 4
    viewer.dims.set_current_step(0, 4)
    mouse.stroke(layer, (10, 10), (10, 40))
    viewer.dims.set_current_step(0, 1)
    layer.selected_label = 2
    mouse.stroke(layer, (30, 10), (30, 40))
    qtbot.waitUntil(lambda: set(msd.client.strokes) == {(4,), (1,)})
    qtbot.waitUntil(lambda: same(msd, (4,)) and same(msd, (1,)))
    qtbot.waitUntil(lambda: (msd.client.view.start[0], msd.client.view.stop[0]) == (1, 2))


def test_a_brush_through_planes_is_found(viewer, open_widget, qtbot):
    from .fake_client import FakeClient

    viewer.add_image(np.zeros((6, 64, 64)), name="stack")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.n_edit_dimensions, layer.brush_size = 3, 5
    layer.paint((3, 20, 20), 1)
    painted = {(int(z),) for z in np.flatnonzero(layer.data.any(axis=(1, 2)))}
    assert len(painted) > 1
    qtbot.waitUntil(lambda: set(msd.client.strokes) == painted)
    qtbot.waitUntil(lambda: all(same(msd, plane) for plane in painted))


def stack(viewer, open_widget):
    from .fake_client import FakeClient

    viewer.add_image(np.zeros((6, 64, 48)), name="stack")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    viewer.dims.set_current_step(0, 0)
    return msd


def test_a_script_that_paints_where_nobody_looks_is_found(viewer, open_widget, qtbot):
    msd = stack(viewer, open_widget)
    layer = msd.controller.chosen.annotation
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    layer.paint((4, 20, 20), 2)
    assert layer.data[4].any()
    qtbot.waitUntil(lambda: set(msd.client.strokes) == {(4,)} and same(msd, (4,)))


def test_undo_reaches_a_plane_that_is_no_longer_shown(viewer, open_widget, qtbot, mouse):
    msd = stack(viewer, open_widget)
    layer = msd.controller.chosen.annotation
    viewer.dims.set_current_step(0, 4)
    mouse.stroke(layer, (10, 10), (10, 40))
    qtbot.waitUntil(lambda: (4,) in msd.client.strokes and same(msd, (4,)))
    viewer.dims.set_current_step(0, 1)
    layer.undo()
    assert not layer.data.any()
    qtbot.waitUntil(lambda: same(msd, (4,)))
    assert not msd.controller.strokes.snapshot.annotation.counts


def test_undo_while_the_strokes_are_hidden(viewer, open_widget, qtbot, mouse):
    msd = stack(viewer, open_widget)
    layer = msd.controller.chosen.annotation
    mouse.stroke(layer, (10, 10), (10, 40))
    qtbot.waitUntil(lambda: (0,) in msd.client.strokes and same(msd, (0,)))
    layer.visible = False
    layer.undo()
    viewer.dims.set_current_step(0, 3)
    layer.visible = True
    assert not layer.data.any()
    qtbot.waitUntil(lambda: same(msd, (0,)))


def test_painting_on_a_cut_across_planes(viewer, open_widget, qtbot):
    from .fake_client import FakeClient

    viewer.add_image(np.zeros((6, 64, 48)), name="stack")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    viewer.dims.order = (1, 0, 2)
    layer.brush_size = 3
    layer.paint((3, 20, 20), 1)
    painted = {(int(z),) for z in np.flatnonzero(layer.data.any(axis=(1, 2)))}
    qtbot.waitUntil(lambda: set(msd.client.strokes) == painted)
    qtbot.waitUntil(lambda: all(same(msd, plane) for plane in painted))


def test_strokes_there_before_the_widget(viewer, image, open_widget, qtbot):
    from .fake_client import FakeClient

    data = np.zeros(image.data.shape, np.uint16)
    data[10:20, 10:20], data[50:60, 90:130] = 1, 2
    viewer.add_labels(data, name="old strokes", scale=image.scale, units=image.units)
    msd = open_widget(FakeClient)
    assert msd.panel.annotation_combo.currentText() == "old strokes"
    qtbot.waitUntil(lambda: bool(msd.client.strokes) and same(msd))


def test_number_keys_pick_classes_only_while_the_layer_is_ours(painted, mouse, viewer):
    layer = painted.controller.chosen.annotation
    mouse.key(Qt.Key.Key_2, "2")
    assert (layer.selected_label, layer.mode) == (2, "paint")
    layer.mode = "fill"
    mouse.key(Qt.Key.Key_1, "1")
    assert (layer.selected_label, layer.mode) == (1, "paint")
    painted.widget.end()
    mouse.key(Qt.Key.Key_1, "1")
    assert layer.mode == "erase"  # napari's own meaning of this key is back
