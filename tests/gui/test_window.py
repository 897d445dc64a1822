"""What a person expects of the window; the trainer is a fake one."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_msd.core.box import Box
from napari_msd.core.space import Space
from napari_msd.plugin.files import calibration
from napari_msd.session.work_state import LiveState
from napari_msd.trainer.messages import Notice, Progress, TrainerDied
from napari_msd.widgets.quality import Quality, quality_of

from .fake_client import FakeClient

CONTRACT = [
    "image_combo",
    "annotation_combo",
    "new_annotation_button",
    "preset_combo",
    "device_combo",
    "live_button",
    "update_once_button",
    "stop_button",
    "predict_all_button",
    "export_button",
    "save_model_button",
    "load_model_button",
    "status_label",
    "progress_bar",
    "loss_plot",
    "class_list",
    "uncertainty_button",
    "show_me_button",
    "history_button",
]


def names(viewer):
    return [layer.name for layer in viewer.layers]


# --- controls and layers ---------------------------------------------------------------------


def test_every_control_has_its_stable_name(msd):
    for name in CONTRACT:
        assert len(msd.widget.findChildren(QWidget, name)) == 1, name


def test_empty_viewer_says_the_next_step(open_widget, viewer):
    msd = open_widget(FakeClient)
    assert "Open an image" in msd.status
    msd.panel.live_button.click()
    assert not msd.panel.live_button.isChecked()
    assert "Open an image first" in msd.status


def test_steps_from_image_to_live_are_said(msd, qtbot):
    assert "Press New" in msd.status
    msd.panel.new_annotation_button.click()
    assert "Paint a few strokes of at least two classes, then press Live." in msd.status
    msd.controller.chosen.annotation.paint((20, 20), 1)
    qtbot.waitUntil(lambda: "second class" in msd.status)
    msd.controller.chosen.annotation.paint((60, 20), 2)
    qtbot.waitUntil(lambda: "Press Live" in msd.status)


def test_new_annotation_is_ready_to_paint(msd, viewer, image):
    msd.panel.new_annotation_button.click()
    layer = viewer.layers["strokes"]
    assert viewer.layers.selection.active is layer
    assert layer.mode == "paint"
    assert layer.selected_label == 1
    assert 1 <= layer.brush_size <= 10
    assert layer.data.shape == image.data.shape
    np.testing.assert_array_equal(layer.scale, image.scale)
    assert layer.units == image.units
    assert msd.panel.annotation_combo.currentText() == "strokes"


def test_combo_texts_are_layer_names_and_follow_renaming(painted, viewer, image):
    assert painted.panel.image_combo.currentText() == "cells"
    image.name = "mito"
    assert painted.panel.image_combo.currentText() == "mito"
    painted.controller.chosen.annotation.name = "my strokes"
    assert painted.panel.annotation_combo.currentText() == "my strokes"


def test_choosing_by_index_from_code_is_choosing(painted, viewer, image):
    other = viewer.add_image(
        np.random.default_rng(1).random((128, 160)),
        name="other",
        scale=image.scale,
        units=image.units,
    )
    painted.panel.image_combo.setCurrentIndex(1)
    assert painted.controller.chosen.image is other
    assert painted.controller.chosen.annotation is viewer.layers["strokes"]


def test_an_annotation_of_one_image_is_not_pressed_on_another(painted, viewer, image):
    viewer.add_image(np.zeros((40, 50)), name="smaller")
    painted.panel.image_combo.setCurrentText("smaller")
    assert painted.panel.annotation_combo.currentText() == ""
    assert painted.panel.status_label.level != "error"
    painted.panel.image_combo.setCurrentText("cells")
    assert painted.controller.chosen.annotation is viewer.layers["strokes"]


def test_what_was_understood_is_said_in_words(viewer, open_widget):
    viewer.add_image(np.zeros((40, 50, 3), np.uint8), name="photo")
    viewer.add_image(np.zeros((30, 40, 50), np.uint8), name="stack")
    msd = open_widget(FakeClient)
    texts = {}
    for index in range(2):
        msd.panel.image_combo.setCurrentIndex(index)
        texts[msd.panel.image_combo.currentText()] = msd.panel.head.described
    assert texts == {
        "photo": "Plane · 40 × 50 · in colour",
        "stack": "Stack of 30 slices? · 40 × 50",
    }


def test_rgb_image_is_learned_in_colour(viewer, open_widget):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    viewer.add_image(pixels, name="photo")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    assert msd.controller.chosen.annotation.data.shape == (40, 50)
    _, spaces, read, _ = msd.client.opened
    assert spaces == {0: Space("YX", (40, 50), n_channels=3)}
    np.testing.assert_array_equal(read(spaces[0].whole(0)), pixels)


def test_pyramid_is_learned_at_its_finest_level(viewer, open_widget):
    levels = [np.zeros((64, 64)), np.zeros((32, 32))]
    viewer.add_image(levels, multiscale=True, name="pyramid")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    assert msd.controller.chosen.annotation.data.shape == (64, 64)
    space = msd.client.space
    assert space == Space("YX", (64, 64))
    assert msd.client.opened[2](space.whole(0)).shape == (64, 64)


@pytest.mark.parametrize(
    ("labels", "letters", "words"),
    [
        (None, "TZYX", "3 frames × 4 slices? · 20 × 30"),
        (("z", "t", "y", "x"), "ZTYX", "3 slices × 4 frames · 20 × 30"),
        (("time", "channel", "y", "x"), "TCYX", "3 frames × 4 channels · 20 × 30"),
        (("row", "column", "y", "x"), "TZYX", "3 frames × 4 slices? · 20 × 30"),
    ],
)
def test_what_is_said_of_axes_is_what_is_exported(viewer, open_widget, labels, letters, words):
    layer = viewer.add_image(np.zeros((3, 4, 20, 30)), axis_labels=labels)
    msd = open_widget(FakeClient)
    assert msd.panel.head.described.endswith(words)
    assert calibration(layer)[2] == letters


# --- Live ------------------------------------------------------------------------------------


def test_live_button_tells_every_state(painted, qtbot):
    button = painted.panel.live_button
    seen = [button.state]

    def look(state):
        qtbot.waitUntil(lambda: button.state is state)
        assert button.isChecked() is (state is not LiveState.OFF)
        seen.append(button.text())

    button.click()
    look(LiveState.STARTING)
    painted.client.say(Progress("waiting", needs="Paint more."))
    look(LiveState.WAITING)
    qtbot.waitUntil(lambda: "Paint more." in painted.status)
    painted.client.train()
    look(LiveState.TRAINING)
    painted.client.say(Progress("idle"))
    look(LiveState.IDLE)
    button.click()
    look(LiveState.OFF)
    assert len(set(seen)) == len(seen)


def test_live_sends_strokes_view_and_then_live(painted, qtbot):
    painted.panel.live_button.click()
    client, layer = painted.client, painted.controller.chosen.annotation
    np.testing.assert_array_equal(client.strokes[()], layer.data)
    assert client.view is not None
    assert client.live


def test_live_by_its_key(painted, mouse):
    mouse.key(Qt.Key.Key_T, "t")
    assert painted.panel.live_button.isChecked()
    mouse.key(Qt.Key.Key_T, "t")
    assert not painted.panel.live_button.isChecked()


def test_idle_says_what_it_waits_for_while_live_stays_on(painted, qtbot):
    button = painted.panel.live_button
    button.click()
    painted.client.train()
    painted.client.say(Progress("idle", step=900))
    qtbot.waitUntil(lambda: button.state is LiveState.IDLE)
    assert "idle: waiting for strokes" in button.text()
    assert button.isChecked()
    assert painted.client.live
    assert "until your next stroke" in painted.status
    painted.client.train(step=920)
    qtbot.waitUntil(lambda: button.state is LiveState.TRAINING)
    assert "until your next stroke" not in painted.status


def test_what_an_iou_rests_on_is_told(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.train(
        score=0.91, iou_margin={1: 0.05}, iou_pieces={1: 6, 2: 1}, unmeasured={3: 2}
    )
    table, rows = painted.controller.classes, painted.panel.class_list
    qtbot.waitUntil(lambda: table[1].margin == 0.05)
    assert "measured on 6 held-out pieces of strokes" in rows.item(0).toolTip()
    assert "between 0.86 and 0.96" in rows.item(0).toolTip()
    assert "1 held-out piece of strokes: too few to know the margin" in rows.item(1).toolTip()
    assert [quality_of(table[value]) for value in (1, 2)] == [Quality.VERY_GOOD, Quality.TOO_FEW]
    table[1].margin = 0.46
    assert quality_of(table[1]) is Quality.TOO_FEW


def test_a_class_with_too_few_strokes_is_said_until_it_has_more(painted, qtbot):
    painted.panel.live_button.click()
    painted.controller.classes.rename(2, "nucleus")
    painted.client.train(unmeasured={2: 2})
    qtbot.waitUntil(lambda: "Too little of “nucleus” is painted" in painted.status)
    assert painted.panel.status_label.level == "warning"
    painted.client.train(step=20)
    qtbot.waitUntil(lambda: "nucleus" not in painted.status)
    assert painted.panel.status_label.level == "hint"


def test_a_score_that_fell_is_said(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.train(warning="The score fell from 0.9 to 0.7.", unmeasured={2: 2})
    qtbot.waitUntil(lambda: "fell from 0.9 to 0.7" in painted.status)
    assert painted.panel.status_label.level == "warning"
    painted.panel.stop_button.click()
    assert "fell" not in painted.status


def test_figures_are_shown(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.train(step=1234, loss=0.3, score=0.84)
    qtbot.waitUntil(lambda: painted.panel.sparkline.text() == "IoU .84")
    assert "64 steps/s" in painted.panel.live_button.text()
    assert painted.panel.menu.device_text.text() == "in use: CPU test"
    assert "because this is a test" in painted.panel.menu.device_text.toolTip()
    assert painted.panel.loss_plot.n_points == (1, 1)
    assert painted.controller.classes[1].iou == 0.84
    assert "1\u202f234" in painted.panel.progress_bar.format()


def test_a_mean_that_rests_on_too_little_is_said_to(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.train(score=0.84, iou_margin={1: 0.05, 2: 0.4})
    qtbot.waitUntil(lambda: painted.panel.sparkline.text() == "few strokes")
    painted.client.train(step=20, score=0.84)
    qtbot.waitUntil(lambda: painted.panel.sparkline.text() == "IoU .84")


def test_what_the_mean_rests_on_is_known_after_live_too(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.train(score=0.84)
    qtbot.waitUntil(lambda: painted.panel.sparkline.text() == "IoU .84")
    painted.panel.stop_button.click()
    assert painted.panel.sparkline.text() == "IoU .84"


def test_stop_keeps_weights_and_overlay_and_asks_nothing(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.keep(b"weights")
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    painted.panel.stop_button.click()
    assert not painted.panel.live_button.isChecked()
    assert painted.client.calls[-1] == "cancel"
    assert (painted.overlay.data == 2).all()
    assert painted.controller.weights.model == b"weights"


def test_work_that_ends_shows_how_long_it_takes(painted, qtbot):
    painted.panel.update_once_button.click()
    assert painted.panel.stop_button.isEnabled()
    painted.client.say(Progress("training", step=5, fraction=0.4, seconds_left=12.3))
    qtbot.waitUntil(lambda: painted.panel.progress_bar.value() == 40)
    assert "about 12 s left" in painted.panel.progress_bar.format()


@pytest.mark.parametrize(
    ("work", "words"), [("update", "few seconds"), ("predict", "keeps what is done")]
)
def test_what_is_under_way_is_said(painted, qtbot, work, words):
    painted.client.keep()
    qtbot.waitUntil(lambda: painted.controller.weights.model is not None)
    button = {"update": "update_once_button", "predict": "predict_all_button"}[work]
    getattr(painted.panel, button).click()
    assert words in painted.status
    painted.panel.stop_button.click()
    assert words not in painted.status


def test_update_once_with_one_class_says_what_is_missing(msd, qtbot):
    msd.panel.new_annotation_button.click()
    msd.controller.chosen.annotation.paint((20, 20), 1)
    qtbot.waitUntil(lambda: "second class" in msd.status)
    msd.panel.update_once_button.click()
    assert "at least two classes" in msd.status
    assert msd.client.calls.count("update") == 0


def test_live_with_one_class_says_which_step_is_next(msd, qtbot):
    msd.panel.new_annotation_button.click()
    msd.controller.chosen.annotation.paint((20, 20), 1)
    msd.panel.live_button.click()
    msd.client.say(Progress("waiting", steps_per_second=50.0, needs="Paint more."))
    qtbot.waitUntil(lambda: msd.panel.live_button.state is LiveState.WAITING)
    qtbot.waitUntil(lambda: "Paint a second class too" in msd.status)
    assert "steps/s" not in msd.panel.live_button.text()


def test_without_a_brush_in_hand_it_says_how_to_take_it(msd, viewer, image):
    viewer.add_labels(
        np.zeros(image.data.shape, np.uint8), name="mine", scale=image.scale, units=image.units
    )
    assert "Click a class" in msd.status
    msd.controller.annotation_tools.pick(1)
    assert "Paint a few strokes" in msd.status


def test_loss_is_shown_as_it_is_in_every_theme(painted, viewer, qtbot):
    painted.panel.live_button.click()
    for step in (1, 2, 3):
        painted.client.train(step=step, loss=0.5)
    qtbot.waitUntil(lambda: painted.panel.loss_plot.n_points[0] == 3)
    viewer.theme = "light"
    axis = painted.panel.loss_plot.getPlotItem().getAxis("left")
    assert axis.autoSIPrefixScale == 1


def test_error_from_the_trainer_stops_live_and_is_said(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.fail("The image is constant; choose another one.")
    qtbot.waitUntil(lambda: "The image is constant" in painted.status)
    assert painted.panel.status_label.level == "error"
    assert not painted.panel.live_button.isChecked()


def test_warning_from_the_trainer_does_not_stop_live(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.say(Notice("warning", "Less memory than wished."))
    qtbot.waitUntil(lambda: "Less memory" in painted.status)
    assert painted.panel.live_button.isChecked()


def test_dead_trainer_is_said_and_live_goes_on(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.train()
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.TRAINING)
    painted.client.say(TrainerDied("The trainer stopped unexpectedly.", True))
    qtbot.waitUntil(lambda: "stopped unexpectedly" in painted.status)
    assert painted.controller.state is LiveState.STARTING
    painted.client.train()
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.TRAINING)
    before = painted.controller.chosen.annotation.data.copy()
    painted.client.say(TrainerDied("It died again.", False))
    qtbot.waitUntil(lambda: "died again" in painted.status)
    assert not painted.panel.live_button.isChecked()
    np.testing.assert_array_equal(painted.controller.chosen.annotation.data, before)
    painted.panel.live_button.click()
    assert painted.client.calls.count("open") == 2


def test_another_preset_while_live_starts_the_other_network(painted):
    painted.panel.live_button.click()
    painted.panel.preset_combo.setCurrentText("balanced")
    assert painted.client.opened[0].preset == "balanced"
    assert painted.client.live
    np.testing.assert_array_equal(
        painted.client.strokes[()], painted.controller.chosen.annotation.data
    )


def test_another_device_keeps_the_weights(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.keep(b"weights")
    qtbot.waitUntil(lambda: painted.controller.weights.model == b"weights")
    painted.panel.device_combo.setCurrentText("torch")
    settings, *_, model = painted.client.opened
    assert (settings.device, model) == ("torch", b"weights")


def test_start_over_forgets_the_network_and_can_be_taken_back(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.keep(b"weights")
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    painted.panel.stop_button.click()
    button = painted.panel.start_over_button
    button.click()
    assert painted.controller.weights.model is None
    assert not painted.overlay.data.any()
    assert painted.controller.chosen.annotation.data.any()
    assert button.text() == "Bring back"
    button.click()
    assert painted.controller.weights.model == b"weights"
    assert painted.client.opened[-1] == b"weights"
    assert (painted.overlay.data == 1).all()
    assert button.text() == "Start over"


def test_start_over_can_be_repeated_and_history_has_what_was_forgotten(painted, qtbot):
    button = painted.panel.start_over_button
    painted.panel.live_button.click()
    for model in (b"old", b"new", b"newer"):
        painted.client.keep(model)
        qtbot.waitUntil(lambda model=model: painted.controller.weights.model == model)
        assert button.text() == "Start over"
        button.click()
        assert painted.client.opened[-1] is None
        assert painted.client.live
        assert "History brings it back" in painted.status
    versions = painted.controller.network.history.versions
    assert [version.model for version in versions] == [b"old", b"new", b"newer"]


# --- the person's layers -----------------------------------------------------------------------


def test_predict_all_asks_for_the_shown_plane_first(viewer, open_widget, qtbot):
    viewer.add_image(np.zeros((5, 40, 40)), name="stack")
    msd = open_widget(FakeClient)
    assert not msd.panel.predict_all_button.isEnabled()
    assert "There is no network yet" in msd.panel.predict_all_button.toolTip()
    msd.panel.new_annotation_button.click()
    msd.client.keep()
    qtbot.waitUntil(lambda: msd.controller.weights.model is not None)
    viewer.dims.set_current_step(0, 3)
    msd.panel.predict_all_button.click()
    assert msd.client.boxes == [Box(0, (z, 0, 0), (z + 1, 40, 40)) for z in (3, 0, 1, 2, 4)]


@pytest.mark.parametrize("what", ["image", "annotation"])
def test_deleted_while_live(painted, viewer, qtbot, what):
    painted.panel.live_button.click()
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    layer = getattr(painted.controller.chosen, what)
    viewer.layers.remove(layer)
    assert "was deleted" in painted.status
    assert "Live is off" in painted.status
    assert not painted.panel.live_button.isChecked()
    assert not painted.client.live
    assert getattr(painted.panel, f"{what}_combo").currentText() == ""
    viewer.layers.append(layer)
    getattr(painted.panel, f"{what}_combo").setCurrentText(layer.name)
    painted.panel.live_button.click()
    assert painted.client.live


@pytest.mark.parametrize("what", ["image", "annotation"])
def test_deleted_while_nothing_runs_is_said(painted, viewer, what):
    viewer.layers.remove(getattr(painted.controller.chosen, what))
    assert "was deleted" in painted.status


@pytest.mark.parametrize("button", ["update_once_button", "predict_all_button"])
def test_work_ends_when_another_image_is_chosen(painted, viewer, qtbot, button):
    painted.client.keep()
    qtbot.waitUntil(lambda: painted.controller.weights.model is not None)
    getattr(painted.panel, button).click()
    assert painted.controller.work
    viewer.add_image(np.zeros((128, 160), np.float32), name="other")
    painted.panel.image_combo.setCurrentText("other")
    assert not painted.controller.work
    assert "cancel" in painted.client.calls


def test_a_device_is_tried_when_it_is_chosen(painted, qtbot):
    painted.client.fail("There is no such device.")
    qtbot.waitUntil(lambda: "no such device" in painted.status)
    painted.panel.device_combo.setCurrentText("torch")
    assert painted.client.opened[0].device == "torch"
    assert "no such device" not in painted.status


def test_renamed_while_live(painted, viewer, image, qtbot):
    painted.panel.live_button.click()
    image.name = "renamed"
    painted.controller.chosen.annotation.name = "renamed too"
    assert painted.panel.live_button.isChecked()
    assert painted.client.calls.count("open") == 1


def test_image_data_replaced_while_live_is_learned_from(painted, image):
    painted.panel.live_button.click()
    image.data = image.data * 2 + 1
    assert painted.client.live
    read = painted.client.opened[2]
    np.testing.assert_array_equal(read(painted.client.space.whole(0)), image.data)
    np.testing.assert_array_equal(
        painted.client.strokes[()], painted.controller.chosen.annotation.data
    )


def test_image_of_another_shape_while_live_is_said(painted, image):
    painted.panel.live_button.click()
    image.data = np.zeros((64, 64), np.float32)
    assert not painted.panel.live_button.isChecked()
    assert "128 × 160" in painted.status
    assert "64 × 64" in painted.status


def test_annotation_of_another_shape_is_said(msd, viewer):
    viewer.add_labels(np.ones((10, 12), np.uint8), name="too small")
    msd.panel.annotation_combo.setCurrentIndex(0)
    assert "10 × 12" in msd.status
    msd.panel.live_button.click()
    assert not msd.panel.live_button.isChecked()
    assert "10 × 12" in msd.panel.live_button.toolTip()


def test_image_without_anything_to_learn(viewer, open_widget):
    viewer.add_image(np.zeros((1, 1)), name="dot")
    msd = open_widget(FakeClient)
    msd.panel.live_button.click()
    assert "single pixel" in msd.status
    assert not msd.panel.live_button.isChecked()


# --- opened twice, closed ----------------------------------------------------------------------


def test_second_widget_says_where_the_first_is_and_can_take_over(painted, open_widget):
    painted.panel.live_button.click()
    client = painted.client
    second = open_widget(FakeClient, name="again")
    assert second.widget.session is None
    assert "already open" in second.widget.findChild(QWidget, "status_label").text()
    second.widget.findChild(QWidget, "move_here_button").click()
    assert second.client is client
    assert client.live
    assert not client.closed
    assert painted.widget.session is None


def test_closing_the_dock_ends_the_trainer(painted, viewer, qtbot):
    client = painted.client
    painted.panel.live_button.click()
    viewer.window.remove_dock_widget(painted.dock)
    qtbot.waitUntil(lambda: client.closed)
    layer = viewer.layers["strokes"]
    layer.paint((10, 10), 1)  # nobody listens, nothing breaks
    assert names(viewer) == ["cells", "cells segmentation", "strokes"]


def test_closing_the_viewer_ends_the_trainer(painted, viewer, qtbot):
    client = painted.client
    painted.panel.live_button.click()
    viewer.close()
    qtbot.waitUntil(lambda: client.closed)


def test_opened_again_finds_its_classes_and_overlay(painted, viewer, open_widget, qtbot):
    painted.controller.classes.rename(2, "membrane")
    painted.panel.live_button.click()
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    overlay = painted.overlay
    viewer.window.remove_dock_widget(painted.dock)
    qtbot.waitUntil(lambda: painted.widget.session is None)
    again = open_widget(FakeClient, name="again")
    assert again.controller.classes[2].name == "membrane"
    qtbot.waitUntil(lambda: len(again.controller.strokes.snapshot.annotation.counts) == 2)
    again.panel.live_button.click()
    assert again.overlay is overlay
    assert names(viewer).count("cells segmentation") == 1


# --- classes -----------------------------------------------------------------------------------


def test_removed_class_is_erased_and_undo_brings_both_back(painted, viewer, qtbot):
    layer = painted.controller.chosen.annotation
    before = layer.data.copy()
    painted.session.class_actions.remove(2)
    assert not (layer.data == 2).any()
    assert 2 not in painted.controller.classes
    qtbot.waitUntil(lambda: not (painted.client.strokes[()] == 2).any())
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    qtbot.waitUntil(lambda: 2 in painted.controller.classes)
    assert painted.controller.classes[2].name == "foreground"


def test_removed_class_comes_back_in_a_lazy_array_too(viewer, image, open_widget, qtbot):
    zarr = pytest.importorskip("zarr")
    data = zarr.zeros(image.data.shape, chunks=(64, 64), dtype="uint8")
    layer = viewer.add_labels(data, name="zarr", scale=image.scale, units=image.units)
    msd = open_widget(FakeClient)
    for value in (1, 2):
        layer.paint((30 * value, 60), value)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)
    before = np.asarray(data[:])
    msd.session.class_actions.remove(2)
    # at once, unless a thread still looks through the array for strokes
    qtbot.waitUntil(lambda: not (data[:] == 2).any())
    np.testing.assert_array_equal(data[:], np.where(before == 2, 0, before))
    layer.undo()
    np.testing.assert_array_equal(data[:], before)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)


def test_merged_class_is_one_step_of_undo(painted, qtbot):
    layer = painted.controller.chosen.annotation
    before = layer.data.copy()
    painted.session.class_actions.merge(2, 1)
    np.testing.assert_array_equal(layer.data, np.where(before == 2, 1, before))
    qtbot.waitUntil(lambda: painted.client.strokes[()].max() == 1)
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_class_without_strokes_is_removed_without_asking(painted, monkeypatch):
    monkeypatch.setattr("napari_msd.plugin.class_actions.QMessageBox.exec", None)
    painted.panel.add_class_button.click()
    assert 3 in painted.controller.classes
    assert painted.controller.chosen.annotation.selected_label == 3
    painted.panel.remove_class_button.click()
    assert 3 not in painted.controller.classes


def test_names_are_edited_in_place(painted):
    rows = painted.panel.class_list
    rows.item(1).setText("  mito   chondria ")
    assert painted.controller.classes[2].name == "mito chondria"
    rows.item(1).setText("   ")
    assert rows.item(1).text() == "mito chondria"


def test_a_click_on_a_class_picks_it(painted, qtbot):
    layer = painted.controller.chosen.annotation
    layer.mode = "fill"
    rows = painted.panel.class_list
    where = rows.visualItemRect(rows.item(1)).center()
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert (layer.selected_label, layer.mode) == (2, "paint")


def test_a_click_on_the_colour_changes_it(painted, qtbot, monkeypatch):
    from qtpy.QtGui import QColor

    monkeypatch.setattr(
        "napari_msd.plugin.class_actions.QColorDialog.getColor", lambda *args: QColor("#102030")
    )
    rows = painted.panel.class_list
    rect = rows.visualItemRect(rows.item(0))
    where = rect.topLeft()
    where.setX(rect.left() + 28)
    where.setY(rect.center().y())
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert painted.controller.classes[1].color == "#102030"


# --- another image -----------------------------------------------------------------------------


@pytest.fixture
def another(painted, viewer, qtbot):
    """A network on the first image, and another image chosen."""
    painted.panel.live_button.click()
    painted.client.train(score=0.9)
    painted.client.keep(b"weights", score=0.9)
    qtbot.waitUntil(lambda: painted.controller.weights.model == b"weights")
    painted.panel.stop_button.click()
    viewer.add_image(np.random.default_rng(2).random((40, 50)), name="another")
    painted.panel.image_combo.setCurrentText("another")
    return painted


def test_another_image_begins_anew(another):
    assert another.controller.weights.model is None
    another.panel.new_annotation_button.click()
    assert another.client.opened[-1] is None
    another.panel.live_button.click()
    assert another.client.opened[-1] is None


def test_nothing_of_the_image_before_is_shown(another):
    assert another.panel.sparkline.text() == ""
    assert "Press Live to continue training" not in another.status
    assert another.panel.loss_plot.n_points == (0, 0)
    assert another.controller.classes[1].iou is None


def test_its_own_network_is_there_when_an_image_is_chosen_again(another):
    another.panel.image_combo.setCurrentText("cells")
    assert another.client.opened[-1] == b"weights"
    assert not another.client.fit_normalisation
    assert another.panel.sparkline.text() == "IoU .90"
    assert not another.panel.offers.isVisible()


def test_to_continue_from_the_image_before_is_offered(another, viewer, qtbot):
    offers = another.panel.offers
    assert offers.isVisible()
    assert "“cells”" in offers.text
    offers.buttons[0].click()
    assert another.client.opened[-1] == b"weights"
    assert another.client.fit_normalisation
    assert another.client.calls[-1] == "refresh"
    assert not offers.isVisible()
    assert "grey values" in another.status
    another.client.keep(b"fitted")  # it knows this image's grey values now
    qtbot.waitUntil(lambda: another.controller.weights.model == b"fitted")
    another.panel.predict_all_button.click()
    another.panel.image_combo.setCurrentText("cells")
    assert another.client.opened[-1] == b"weights"
    another.panel.image_combo.setCurrentText("another")
    another.panel.predict_all_button.click()
    assert another.client.opened[-1] == b"fitted"
    assert not another.client.fit_normalisation


def test_predict_all_of_a_continued_network_needs_no_annotation(another, viewer, qtbot):
    another.panel.offers.buttons[0].click()
    another.panel.predict_all_button.click()
    assert another.client.calls[-1] == "predict"
    another.client.predict(2)
    qtbot.waitUntil(lambda: another.controller.overlay.has_content)
    assert viewer.layers["another segmentation"].data.shape == (40, 50)


def test_each_preset_has_its_own_weights(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.keep(b"quick weights")
    qtbot.waitUntil(lambda: painted.controller.weights.model == b"quick weights")
    painted.panel.preset_combo.setCurrentText("paper")
    assert painted.client.opened[-1] is None
    painted.client.keep(b"paper weights")
    qtbot.waitUntil(lambda: painted.controller.weights.model == b"paper weights")
    painted.panel.preset_combo.setCurrentText("quick")
    assert painted.client.opened[-1] == b"quick weights"


def test_an_annotation_that_lies_elsewhere_is_refused(msd, viewer, image):
    viewer.add_labels(np.zeros(image.data.shape, np.uint8), name="elsewhere", units=image.units)
    assert msd.controller.chosen.annotation is None  # not chosen in the person's name
    msd.panel.annotation_combo.setCurrentIndex(0)
    assert "“elsewhere” does not fit “cells”" in msd.status
    assert not msd.panel.live_button.isEnabled()
    assert "does not fit" in msd.panel.live_button.toolTip()


def test_work_stops_when_the_segmentation_is_deleted(painted, viewer, qtbot):
    painted.panel.live_button.click()
    viewer.layers.remove(painted.overlay)
    assert "You deleted the segmentation" in painted.status
    assert not painted.client.live
    assert not painted.panel.export_button.isEnabled()
    painted.panel.live_button.click()
    assert "deleted" not in painted.status
    assert painted.overlay in viewer.layers
