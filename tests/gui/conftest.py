import gc

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtWidgets import QApplication

from napari_msd.plugin.dock import MSDSegmentationWidget

from .fake_client import FakeClient
from .mouse import Mouse


@pytest.fixture(scope="module", autouse=True)
def spare_the_collector():
    """Napari collects garbage at the end of each test; between those ends little is to be found."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def viewer(make_napari_viewer, monkeypatch):
    """A real napari window; plugin code that touches it off the Qt thread fails."""
    gc.freeze()  # what earlier windows have imported and cached stays: it is not looked at again
    monkeypatch.setenv("NAPARI_ENSURE_PLUGIN_MAIN_THREAD", "True")
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 800)
    return viewer


@pytest.fixture
def image(viewer):
    """Two textures: left half dark, right half bright."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 0.05, (128, 160)).astype(np.float32)
    pixels[:, 80:] += 1.0
    return viewer.add_image(pixels, name="cells", scale=(0.5, 0.5), units=("um", "um"))


class Opened:
    """The widget in its dock, with short names for what tests look at."""

    def __init__(self, viewer, dock, widget):
        self.viewer, self.dock, self.widget = viewer, dock, widget

    @property
    def session(self):
        return self.widget.session

    @property
    def panel(self):
        return self.session.panel

    @property
    def controller(self):
        return self.session.controller

    @property
    def client(self):
        return self.controller.connection.client

    @property
    def status(self):
        return self.panel.status_label.text()

    @property
    def overlay(self):
        return self.controller.overlay.layer


@pytest.fixture
def open_widget(viewer, qtbot):
    """Open the widget as napari does, with the proxy that plugins get; closes what it opened."""
    opened = []

    def open_it(make_client=None, name="MS-D Segmentation"):
        widget = MSDSegmentationWidget(PublicOnlyProxy(viewer), make_client=make_client)
        dock = viewer.window.add_dock_widget(widget, name=name)
        QApplication.processEvents()
        viewer.reset_view()  # the dock took some of the canvas: all of the image is visible again
        opened.append(Opened(viewer, dock, widget))
        return opened[-1]

    yield open_it
    for it in opened:
        it.widget.end()
        it.viewer = it.dock = it.widget = None  # napari looks for viewers that are still held
    opened.clear()


@pytest.fixture
def msd(open_widget, image):
    """The widget with a fake trainer's client, on an image."""
    return open_widget(FakeClient)


@pytest.fixture
def painted(msd, qtbot):
    """The same with an annotation that has strokes of two classes."""
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.brush_size = 5
    for x in range(20, 60, 3):
        layer.paint((60, x), 1)
        layer.paint((60, x + 80), 2)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)
    return msd


@pytest.fixture
def mouse(viewer, qtbot):
    return Mouse(viewer, qtbot)
