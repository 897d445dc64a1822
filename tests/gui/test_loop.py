"""The whole loop with the real trainer: strokes by mouse, Live, new class, undo, kill, close."""

import numpy as np
import psutil
import pytest

from napari_msd.session.work_state import LiveState

SECOND = 1000
PATIENCE = 120 * SECOND
"""Only reached when something is broken: the tests wait for what happens, not for time."""


@pytest.fixture
def msd(open_widget, image):
    """The widget with the real trainer."""
    return open_widget()


@pytest.fixture
def painted(msd, mouse):
    """Strokes of two classes, by mouse."""
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.brush_size = 7
    mouse.stroke(layer, (20, 20), (100, 60))
    layer.selected_label = 2
    mouse.stroke(layer, (20, 100), (100, 140))
    assert set(np.unique(layer.data)) == {0, 1, 2}
    return msd


def accuracy(msd):
    truth = np.ones((128, 160), np.uint8)
    truth[:, 80:] = 2
    seen = msd.overlay.data > 0
    return float((msd.overlay.data == truth)[seen].mean())


def is_process(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_paint_train_see_correct_undo_stop_export(painted, viewer, mouse, qtbot, tmp_path):
    import tifffile

    panel, controller = painted.panel, painted.controller
    panel.live_button.click()
    qtbot.waitUntil(lambda: controller.overlay.has_content, timeout=PATIENCE)
    first = accuracy(painted)
    qtbot.waitUntil(lambda: accuracy(painted) > max(0.95, first - 1e-9), timeout=PATIENCE)
    assert controller.state is LiveState.TRAINING
    pid = painted.client.pid

    layer = controller.chosen.annotation
    layer.selected_label = 3
    layer.brush_size = 13
    mouse.stroke(layer, (110, 90), (110, 150))
    qtbot.waitUntil(lambda: bool((painted.overlay.data == 3).any()), timeout=PATIENCE)
    layer.undo()
    assert not (layer.data == 3).any()
    qtbot.waitUntil(lambda: not (painted.overlay.data == 3).any(), timeout=PATIENCE)
    assert painted.client.pid == pid  # all of it without a restart
    assert panel.live_button.isChecked()

    panel.stop_button.click()
    assert not panel.live_button.isChecked()
    qtbot.waitUntil(lambda: controller.weights.model is not None, timeout=PATIENCE)
    panel.predict_all_button.click()
    qtbot.waitUntil(lambda: not controller.work, timeout=PATIENCE)
    qtbot.waitUntil(lambda: bool(painted.overlay.data.all()), timeout=PATIENCE)

    path = tmp_path / "labels.tif"
    painted.session.results.export_labels(path)
    qtbot.waitUntil(lambda: "saved" in painted.status, timeout=PATIENCE)
    np.testing.assert_array_equal(tifffile.imread(path), painted.overlay.data)

    model = tmp_path / "model.safetensors"
    controller.classes.rename(2, "bright")
    painted.session.results.save_model(model)
    before = painted.overlay.data.copy()
    panel.start_over_button.click()
    assert controller.weights.model is None
    painted.session.models.load_model(model)
    assert "bright" in painted.status
    panel.predict_all_button.click()
    qtbot.waitUntil(lambda: not controller.work, timeout=PATIENCE)
    qtbot.waitUntil(lambda: np.array_equal(painted.overlay.data, before), timeout=PATIENCE)


def test_killed_trainer_is_said_and_training_goes_on(painted, qtbot):
    painted.panel.live_button.click()
    qtbot.waitUntil(lambda: painted.controller.weights.model is not None, timeout=PATIENCE)
    strokes, pid = painted.controller.chosen.annotation.data.copy(), painted.client.pid
    psutil.Process(pid).kill()
    qtbot.waitUntil(lambda: "stopped unexpectedly" in painted.status, timeout=PATIENCE)
    qtbot.waitUntil(
        lambda: painted.controller.state is LiveState.TRAINING and painted.client.pid != pid,
        timeout=PATIENCE,
    )
    np.testing.assert_array_equal(painted.controller.chosen.annotation.data, strokes)
    assert painted.panel.live_button.isChecked()


def test_window_closed_while_training_leaves_no_process(painted, viewer, qtbot):
    painted.panel.live_button.click()
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content, timeout=PATIENCE)
    pid = painted.client.pid
    assert is_process(pid)
    viewer.close()
    qtbot.waitUntil(lambda: not is_process(pid), timeout=PATIENCE)


def test_update_once_trains_shows_and_stops(painted, qtbot):
    painted.panel.update_once_button.click()
    qtbot.waitUntil(lambda: painted.controller.work == "update")
    qtbot.waitUntil(lambda: not painted.controller.work, timeout=PATIENCE)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content, timeout=PATIENCE)
    assert painted.overlay.data.all()
    assert not painted.panel.live_button.isChecked()
    assert painted.panel.update_once_button.isEnabled()


def test_inputs_nothing_can_be_learned_from_are_said(painted, image, qtbot):
    """One trainer for all: each bad input is one sentence, and loses nothing."""
    panel, layer = painted.panel, painted.controller.chosen.annotation
    good, strokes = image.data.copy(), layer.data.copy()

    layer.data = np.where(strokes == 1, strokes, 0)
    panel.live_button.click()
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.WAITING, timeout=PATIENCE)
    assert "class" in painted.status
    panel.live_button.click()
    layer.data = strokes
    qtbot.waitUntil(lambda: len(painted.controller.strokes.snapshot.annotation.counts) == 2)

    for pixels, word in (
        (np.full_like(good, 3), "same value"),
        (np.full_like(good, np.nan), "NaN"),
    ):
        image.data = pixels
        panel.live_button.click()
        qtbot.waitUntil(lambda w=word: w.lower() in painted.status.lower(), timeout=PATIENCE)
        assert "Traceback" not in painted.status
        if panel.live_button.isChecked():  # said as a warning: the person decides
            panel.live_button.click()

    image.data = good
    panel.live_button.click()
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content, timeout=PATIENCE)
    np.testing.assert_array_equal(layer.data, strokes)


def test_files_that_cannot_be_read_or_written_are_said(painted, viewer, qtbot, tmp_path):
    results = painted.session.results
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not a model")
    painted.session.models.load_model(damaged)
    assert painted.panel.status_label.level == "error"
    assert "damaged.safetensors" in painted.status
    painted.session.models.load_model(tmp_path / "missing.safetensors")
    assert "missing.safetensors" in painted.status
    results.export_labels(tmp_path / "a.tif")
    assert "no segmentation yet" in painted.status
    results.save_model(tmp_path / "a.safetensors")
    assert "no network to save" in painted.status

    painted.panel.update_once_button.click()
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content, timeout=PATIENCE)
    qtbot.waitUntil(lambda: not painted.controller.work, timeout=PATIENCE)
    nowhere = tmp_path / "no such folder" / "a.tif"
    results.export_labels(nowhere)
    qtbot.waitUntil(lambda: painted.panel.status_label.level == "error", timeout=PATIENCE)
    results.save_model(nowhere.with_suffix(".safetensors"))
    assert painted.panel.status_label.level == "error"

    model = tmp_path / "grey.safetensors"
    results.save_model(model)
    assert model.exists()
    viewer.add_image(np.zeros((128, 160, 3), np.uint8), name="photo")
    painted.panel.image_combo.setCurrentText("photo")
    painted.session.models.load_model(model)
    assert "channel" in painted.status
    assert painted.panel.status_label.level == "error"
