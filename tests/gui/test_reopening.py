"""The panel may be closed: all it made is there when it is opened again."""

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from .fake_client import FakeClient


@pytest.fixture
def reopened(painted, viewer, open_widget, qtbot):
    """Trained, segmented, closed with the dock's cross, and opened again."""
    painted.controller.classes.rename(2, "membrane")
    painted.panel.live_button.click()
    painted.client.keep(b"first", step=100, score=0.9, painted=400)
    painted.client.keep(b"second", step=300, score=0.8, painted=700)
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    viewer.window.remove_dock_widget(painted.dock)
    qtbot.waitUntil(lambda: painted.widget.session is None)
    return open_widget(FakeClient, name="again")


def test_the_network_and_its_history_are_there(reopened):
    assert reopened.controller.weights.model == b"second"
    versions = reopened.controller.network.history.versions
    assert [version.model for version in versions] == [b"first", b"second"]
    assert reopened.client.opened[-1] == b"second"
    assert reopened.panel.predict_all_button.isEnabled()
    assert reopened.panel.sparkline.text() == "IoU .80"


def test_the_classes_are_there(reopened):
    assert reopened.controller.classes.names == {1: "background", 2: "membrane"}


def test_the_segmentation_can_be_exported_at_once(reopened, qtbot, tmp_path):
    assert reopened.panel.export_button.isEnabled()
    path = tmp_path / "labels.npy"
    reopened.session.results.export_labels(path)
    qtbot.waitUntil(path.exists)
    qtbot.waitUntil(lambda: "saved as labels.npy" in reopened.status)
    assert (np.load(path) == 2).all()


def test_the_same_layers_are_chosen(painted, viewer, image, open_widget, qtbot):
    viewer.add_image(np.ones((30, 20)), name="later")
    annotation = painted.controller.chosen.annotation
    viewer.add_labels(
        np.zeros(image.data.shape, np.uint8), name="first", scale=image.scale, units=image.units
    )
    viewer.layers.move(len(viewer.layers) - 1, 0)
    viewer.layers.selection.active = viewer.layers["later"]
    viewer.window.remove_dock_widget(painted.dock)
    qtbot.waitUntil(lambda: painted.widget.session is None)
    again = open_widget(FakeClient, name="again")
    assert again.controller.chosen.image is image
    assert again.controller.chosen.annotation is annotation


def test_preset_and_device_stay_as_chosen(painted, viewer, open_widget, qtbot):
    painted.panel.preset_combo.setCurrentText("balanced")
    painted.panel.device_combo.setCurrentText("torch")
    viewer.window.remove_dock_widget(painted.dock)
    qtbot.waitUntil(lambda: painted.widget.session is None)
    again = open_widget(FakeClient, name="again")
    assert again.panel.preset_combo.currentText() == "balanced"
    assert again.panel.device_combo.currentText() == "torch"
    assert again.client.opened[0].preset == "balanced"


def test_what_start_over_took_can_still_be_brought_back(reopened, viewer, open_widget, qtbot):
    reopened.panel.start_over_button.click()
    viewer.window.remove_dock_widget(reopened.dock)
    qtbot.waitUntil(lambda: reopened.widget.session is None)
    again = open_widget(FakeClient, name="third")
    assert again.panel.start_over_button.text() == "Bring back"
    again.panel.start_over_button.click()
    assert again.controller.weights.model == b"second"


def test_it_does_not_outlive_the_viewer(painted, viewer):
    from napari_msd.viewer.viewer_memory import memory_of, unwrapped

    memory = painted.controller.memory
    assert memory_of(viewer, "paper", "cpu") is memory
    assert memory_of(painted.viewer, "paper", "cpu") is memory
    assert unwrapped(viewer) is viewer


def test_closing_takes_no_layer_away(reopened, viewer):
    reopened.widget.end()
    QApplication.processEvents()
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", "cells segmentation", "strokes"]
