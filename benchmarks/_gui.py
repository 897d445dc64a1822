"""A real napari window with strokes on it, for what is timed in the viewer."""

from __future__ import annotations

import os
import platform
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_msd.plugin.dock import MSDSegmentationWidget
from napari_msd.storage.elsewhere import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

_sessions = TemporaryDirectory(ignore_cleanup_errors=True)
os.environ.setdefault(VARIABLE, _sessions.name)  # nobody goes on with what is painted here


def machine() -> str:
    """The machine's name for a benchmark's first line."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123  (no path to speak of)
            cpu = next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        pass
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "?"
    return f"{cpu}, {os.cpu_count()} cores, load {load}, napari {napari.__version__}"


class Session:
    """napari, an image of two textures, the widget, and a few strokes."""

    def __init__(self, size: int = 512) -> None:
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(1200, 800)
        self._open(size)
        self.widget = MSDSegmentationWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="MS-D Segmentation")
        QApplication.processEvents()
        self.viewer.reset_view()
        window = self.widget.session
        assert window is not None
        self.window, self.controller = window, window.controller
        self.overlay = self.controller.overlay
        window.new_annotation()
        self.layer = self.controller.chosen.annotation
        self._paint(size)
        self.controller.strokes.finish()

    def _open(self, size: int) -> None:
        rng = np.random.default_rng(0)
        pixels = rng.normal(0, 0.1, (size, size)).astype(np.float32)
        rows, columns = np.mgrid[:size, :size]
        pixels += np.hypot(rows - size / 2, columns - size / 2) < size / 3
        self.image = self.viewer.add_image(pixels, name="image")

    def _paint(self, size: int) -> None:
        self.layer.brush_size = max(size // 60, 3)
        middle = size // 2
        for offset in range(-size // 8, size // 8, 4):
            self.layer.paint((middle, middle + offset), 2)
            self.layer.paint((size // 20, middle + offset), 1)

    def live(self, on: bool) -> None:
        """Press the switch."""
        self.window.panel.live_button.setChecked(on)

    def start_over(self) -> None:
        """An untrained network on the same strokes; the trainer stays warm."""
        self.live(False)
        self.spin(1.0)
        self.controller.weights.start_over()
        self.spin(0.5)

    def close(self) -> None:
        """Close the window and end the trainer."""
        self.viewer.close()
        self.spin(0.5)

    # --- time ------------------------------------------------------------------------------

    def spin(self, seconds: float) -> None:
        """Let the event loop run, asleep when there is nothing to do."""
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    def wait_for(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Let the event loop run until something is so."""
        end = perf_counter() + seconds
        while not done():
            if perf_counter() > end:
                raise TimeoutError(self.window.panel.status_label.text())
            self.spin(0.005)

    # --- the hand ----------------------------------------------------------------------------

    @property
    def canvas(self) -> object:
        """The widget that gets the mouse."""
        return self.viewer.window._qt_viewer.canvas.native

    def mouse(self, kind: QEvent.Type, pixel: tuple[float, float], *, down: bool) -> None:
        """One mouse event at an image pixel."""
        camera, canvas = self.viewer.scene.camera, self.canvas
        row, column = (np.asarray(pixel) - np.asarray(camera.center)[-2:]) * camera.zoom
        where = QPointF(canvas.width() / 2 + column, canvas.height() / 2 + row)
        moves = kind == QEvent.Type.MouseMove
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        event = QMouseEvent(
            kind,
            where,
            QPointF(canvas.mapToGlobal(where.toPoint())),
            none if moves else left,
            left if down else none,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, event)
