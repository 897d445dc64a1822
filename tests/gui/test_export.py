"""Export knows what it exports: how much is segmented, and by which networks."""

from threading import Event

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_msd.core.box import Box
from napari_msd.session.work_state import LiveState
from napari_msd.trainer.messages import Finished, OverlayBlock

from .fake_client import FakeClient


@pytest.fixture
def stack(viewer, open_widget, qtbot):
    """Thirty planes, of which three are segmented."""
    viewer.add_image(np.random.default_rng(0).random((30, 40, 40)), name="em")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    msd.panel.live_button.click()
    msd.client.keep()
    qtbot.waitUntil(lambda: msd.controller.weights.model is not None)
    msd.panel.stop_button.click()
    for plane in (14, 15, 20):
        predict(msd, qtbot, 2, plane)
    return msd


def predict(msd, qtbot, value, plane, network="one"):
    msd.client.predict(value, (plane,), network=network)
    qtbot.waitUntil(lambda: bool((msd.overlay.data[plane] == value).all()))


def answering(text, seen):
    """Press the button of the next question whose text begins so."""

    def press():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(10, press)
            return
        seen.append(box.text())
        button = next(b for b in box.buttons() if b.text().replace("&", "").startswith(text))
        button.click()

    QTimer.singleShot(0, press)


@pytest.fixture
def saved_to(monkeypatch, tmp_path):
    path = tmp_path / "labels.npy"
    monkeypatch.setattr("napari_msd.plugin.files.ask_save_path", lambda *args: path)
    return path


def written(msd, qtbot, path):
    qtbot.waitUntil(lambda: f"Labels saved as {path.name}" in msd.status)
    return np.load(path)


def test_first_answers_are_not_exported(stack, qtbot, saved_to):
    """They show the whole of a large view at low resolution; 0 means not predicted."""
    box = Box(0, (3, 0, 0), (4, 40, 40))
    stack.client.say(OverlayBlock(box, 1, np.ones(box.reduced_shape(8), np.uint8), None, "one", 8))
    qtbot.waitUntil(lambda: bool((stack.overlay.data[3] == 1).all()))
    stack.session.results.export_labels(saved_to)
    labels = written(stack, qtbot, saved_to)
    assert not labels[3].any()
    assert (labels[14] == 2).all()
    assert (stack.overlay.data[3] == 1).all()


def test_planes_that_are_missing_are_asked_about(stack, qtbot, saved_to):
    seen = []
    answering("Cancel", seen)
    stack.panel.export_button.click()
    assert seen == ["27 of 30 planes are not segmented."]
    assert not saved_to.exists()


def test_as_it_is_it_is_exported_with_a_warning(stack, qtbot, saved_to):
    answering("Export as it is", [])
    stack.panel.export_button.click()
    labels = written(stack, qtbot, saved_to)
    assert [plane for plane in range(30) if labels[plane].any()] == [14, 15, 20]
    assert "27 of 30 planes are not segmented" in stack.status
    assert stack.panel.status_label.level == "warning"


def test_predict_all_first(stack, qtbot, saved_to):
    answering("Predict all", [])
    stack.panel.export_button.click()
    assert stack.controller.work == "predict"
    for plane in range(30):
        stack.client.predict(1, (plane,), network="two")
    assert not saved_to.exists()
    stack.client.say(Finished("predict"))
    labels = written(stack, qtbot, saved_to)
    assert (labels == 1).all()
    assert stack.panel.status_label.level == "info"


@pytest.mark.parametrize("state", [LiveState.TRAINING, LiveState.IDLE, LiveState.OFF])
def test_predict_all_says_that_live_goes_on(stack, qtbot, state):
    if state is not LiveState.OFF:
        stack.panel.live_button.click()
        stack.controller.live_is(state)
    stack.panel.predict_all_button.click()
    stack.client.say(Finished("predict"))
    qtbot.waitUntil(lambda: not stack.controller.work)
    assert ("Live goes on" in stack.status) == (state is LiveState.TRAINING)


def test_predict_all_that_is_stopped_exports_nothing(stack, qtbot, saved_to):
    answering("Predict all", [])
    stack.panel.export_button.click()
    stack.panel.stop_button.click()
    assert "nothing was exported" in stack.status
    stack.client.say(Finished("predict", cancelled=True))
    stack.client.say(Finished("stop"))
    qtbot.waitUntil(lambda: not stack.controller.stopping)
    assert not saved_to.exists()


def test_two_networks_are_asked_about(stack, qtbot, saved_to):
    for plane in range(30):
        stack.client.predict(1, (plane,), network="two")
    predict(stack, qtbot, 1, 29, "two")
    predict(stack, qtbot, 2, 7, "three")  # Live went on where one looks
    seen = []
    answering("Cancel", seen)
    stack.panel.export_button.click()
    assert seen == ["Parts of the segmentation are older than the network."]


def test_a_complete_segmentation_is_exported_without_a_question(painted, qtbot, saved_to):
    painted.client.predict(2)
    painted.panel.live_button.click()
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.panel.export_button.isEnabled())
    painted.panel.export_button.click()
    assert (written(painted, qtbot, saved_to) == 2).all()


def test_what_is_written_is_what_was_there_at_the_click(painted, qtbot, tmp_path, monkeypatch):
    go_on = Event()

    def slowly(path, labels, names, about, colors):
        go_on.wait(10)
        np.save(path, labels)

    monkeypatch.setattr("napari_msd.plugin.files.write_labels", slowly)
    painted.panel.live_button.click()
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    first, second = tmp_path / "first.npy", tmp_path / "second.npy"
    results = painted.session.results
    results.export_labels(first)
    assert not painted.panel.export_button.isEnabled()
    painted.client.predict(2)  # Live goes on
    qtbot.waitUntil(lambda: bool((painted.overlay.data == 2).all()))
    results.export_labels(second)
    assert "Another export is still being written" in painted.status
    go_on.set()
    assert (written(painted, qtbot, first) == 1).all()
    assert painted.panel.export_button.isEnabled()
    assert not second.exists()


def test_a_copy_of_an_incomplete_segmentation_is_asked_about(stack, viewer):
    seen = []
    answering("Cancel", seen)
    stack.panel.copy_button.click()
    assert seen == ["27 of 30 planes are not segmented."]
    assert "em segmentation copy" not in viewer.layers
    answering("Copy as it is", seen)
    stack.panel.copy_button.click()
    assert viewer.layers["em segmentation copy"].data[14].all()
    assert "27 of 30 planes are not segmented" in stack.status


def test_napari_itself_says_it_when_it_saves_the_layer(stack, viewer, tmp_path):
    path = tmp_path / "saved.tif"
    with pytest.warns(UserWarning, match="27 of 30 planes are not segmented"):
        viewer.layers["em segmentation"].save(str(path), plugin="napari-msd")
    assert path.exists()


def test_new_pixels_of_the_image_are_not_segmented(painted, image, qtbot):
    painted.panel.live_button.click()
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    painted.panel.stop_button.click()
    image.data = image.data + 1
    assert not painted.panel.export_button.isEnabled()
    assert not painted.controller.overlay.layer.data.any()


def test_a_part_of_an_image_is_told_by_its_share(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.predict(2, box=Box(0, (0, 0), (128, 120)))
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    sentence = painted.controller.overlay.coverage.completeness.sentence
    assert sentence == "25% of the image is not segmented."


def test_pixels_replaced_while_another_image_was_chosen_are_not_segmented(
    painted, viewer, image, qtbot
):
    painted.panel.live_button.click()
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    painted.panel.stop_button.click()
    viewer.add_image(np.ones((30, 20)), name="other")
    painted.panel.image_combo.setCurrentText("other")
    image.data = image.data + 1
    painted.panel.image_combo.setCurrentText("cells")
    assert not painted.panel.export_button.isEnabled()
    assert not viewer.layers["cells segmentation"].data.any()


# --- large segmentations -------------------------------------------------------------------------


@pytest.fixture
def slow_copy(monkeypatch):
    """Copying a segmentation on another thread waits until the event is set."""
    go_on, began = Event(), Event()
    real = np.array

    def copy(data, *args, **kwargs):
        began.set()
        assert go_on.wait(60)
        return real(data, *args, **kwargs)

    class Numpy:
        array = staticmethod(copy)

        def __getattr__(self, name):
            return getattr(np, name)

    monkeypatch.setattr("napari_msd.viewer.label_data.np", Numpy())
    monkeypatch.setattr("napari_msd.plugin.segmentation_copy.LARGE_BYTES", 0)
    return began, go_on


def test_blocks_wait_while_the_segmentation_is_copied_for_an_export(
    painted, qtbot, tmp_path, slow_copy
):
    began, go_on = slow_copy
    painted.panel.live_button.click()
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    path = tmp_path / "a.npy"
    painted.session.results.export_labels(path)
    assert began.wait(60)
    painted.client.predict(2)  # Live goes on
    qtbot.waitUntil(painted.controller.overlay.has_pending_blocks)
    painted.controller.overlay.flush()
    assert (painted.overlay.data == 1).all()
    go_on.set()
    assert (written(painted, qtbot, path) == 1).all()
    qtbot.waitUntil(lambda: bool((painted.overlay.data == 2).all()))


def test_a_large_segmentation_is_copied_on_another_thread(painted, qtbot, viewer, slow_copy):
    began, go_on = slow_copy
    painted.panel.live_button.click()
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    painted.panel.copy_button.click()
    assert began.wait(60)
    painted.panel.copy_button.click()
    assert "still being copied" in painted.status
    painted.client.predict(2)
    go_on.set()
    qtbot.waitUntil(lambda: "cells segmentation copy" in viewer.layers)
    assert (viewer.layers["cells segmentation copy"].data == 1).all()
    qtbot.waitUntil(lambda: bool((painted.overlay.data == 2).all()))
    assert len([layer for layer in viewer.layers if "copy" in layer.name]) == 1


def test_too_little_memory_for_the_copy_is_one_sentence(painted, qtbot, tmp_path, monkeypatch):
    painted.panel.live_button.click()
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)

    class Numpy:
        @staticmethod
        def array(*args):
            raise MemoryError

        def __getattr__(self, name):
            return getattr(np, name)

    monkeypatch.setattr("napari_msd.viewer.label_data.np", Numpy())
    for limit in (0, 1 << 30):
        monkeypatch.setattr("napari_msd.plugin.segmentation_copy.LARGE_BYTES", limit)
        painted.controller.notices.acted.emit()
        painted.panel.copy_button.click()
        qtbot.waitUntil(lambda: "too little memory to copy" in painted.status)
    painted.controller.notices.acted.emit()
    painted.session.results.export_labels(tmp_path / "a.npy")
    qtbot.waitUntil(lambda: "too little memory to copy" in painted.status)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    painted.client.predict(2)
    qtbot.waitUntil(lambda: bool((painted.overlay.data == 2).all()))  # nothing waits for ever


def test_closing_the_window_while_it_is_copied(painted, qtbot, tmp_path, slow_copy):
    began, go_on = slow_copy
    painted.panel.live_button.click()
    painted.client.predict(1)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    path = tmp_path / "a.npy"
    painted.session.results.export_labels(path)
    writer = painted.session.results._writer._thread
    assert began.wait(60)
    painted.widget.end()
    go_on.set()
    writer.join(60)
    assert (np.load(path) == 1).all()
