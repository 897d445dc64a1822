"""A real napari window for the documentation's pictures: waiting, mouse, keys, pictures."""

from __future__ import annotations

import io
import os
from itertools import pairwise
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QBuffer, QEvent, QEventLoop, QIODevice, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QWidget
from tour_strokes import Pixel

from napari_msd.storage.elsewhere import VARIABLE
from napari_msd.viewer.canvas import Canvas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_sessions = TemporaryDirectory(ignore_cleanup_errors=True)
os.environ.setdefault(VARIABLE, _sessions.name)  # nobody goes on with what is painted here


def spin(seconds: float) -> None:
    """Let the event loop run."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait_for(done: Callable[[], bool], seconds: float = 120) -> None:
    """Let the event loop run until something is so."""
    end = perf_counter() + seconds
    while not done() and perf_counter() < end:
        spin(0.05)


class RealWindow:
    """Napari with the panel open.

    Parameters
    ----------
    size
        Width and height of the window.
    sample
        Sample image to open; none for an empty viewer.
    """

    def __init__(self, size: tuple[int, int], sample: str = "") -> None:
        # nobody's sessions are offered in a picture, and none is left behind
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        os.environ[VARIABLE] = self._folder.name
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(*size)
        if sample:
            self.viewer.open_sample("napari-msd", sample)
        _, self.widget = self.viewer.window.add_plugin_dock_widget(
            "napari-msd", "MS-D Segmentation"
        )
        self.viewer.window.resize(*size)
        spin(0.5)
        self.viewer.reset_view()
        self.session = self.widget.session
        self.panel, self.controller = self.session.panel, self.session.controller
        self.canvas = Canvas(self.viewer, self.widget)
        self.pointer = QPoint(0, 0)
        """Where the mouse is, in the window."""

    @property
    def main(self) -> QWidget:
        """The window of napari."""
        parent = self.widget
        while not isinstance(parent, QMainWindow):
            parent = parent.parentWidget()
        return parent

    def picture(self) -> Image.Image:
        """The window as it is on screen, with open menus."""
        box = self.main.geometry()
        pixmap = QApplication.primaryScreen().grabWindow(
            0, box.x(), box.y(), box.width(), box.height()
        )
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        pixmap.save(buffer, "PNG")
        return Image.open(io.BytesIO(bytes(buffer.data()))).convert("RGB")

    # --- the mouse -----------------------------------------------------------------------

    def place_of(self, widget: QWidget, at: QPoint | None = None) -> QPoint:
        """Where a point of a widget (its middle, if none is given) is in the window."""
        point = widget.rect().center() if at is None else at
        return self.main.mapFromGlobal(widget.mapToGlobal(point))

    def place_of_pixel(self, layer: Any, pixel: Pixel) -> QPoint:
        """Where a pixel of a layer is in the window."""
        canvas = self.canvas.widget
        assert canvas is not None  # the view is in 2-D
        index = (*self.viewer.dims.current_step[:-2], *pixel)
        return self.place_of(canvas, self.canvas.position(layer, index, canvas).toPoint())

    def send(self, kind: QEvent.Type, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
        """Send a mouse event to what is under the pointer on the canvas."""
        canvas = self.canvas.widget
        assert canvas is not None
        inside = canvas.mapFromGlobal(self.main.mapToGlobal(self.pointer))
        target = canvas.childAt(inside) or canvas
        where = QPointF(target.mapFromGlobal(self.main.mapToGlobal(self.pointer)))
        everywhere = QPointF(self.main.mapToGlobal(self.pointer))
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(target, QMouseEvent(kind, where, everywhere, button, held, none))
        QApplication.processEvents()

    def drag(
        self,
        layer: Any,
        pixels: Sequence[Pixel],
        moved: Callable[[], object] = lambda: None,
        steps: int = 6,
    ) -> None:
        """Draw through these pixels with the left button; `moved` is called now and then."""
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        self.pointer = self.place_of_pixel(layer, pixels[0])
        self.send(QEvent.Type.MouseMove, none, none)
        self.send(QEvent.Type.MouseButtonPress, left, left)
        for start, end in pairwise(pixels):
            for t in np.linspace(0, 1, steps + 1)[1:]:
                pixel = np.asarray(start) + t * (np.asarray(end) - np.asarray(start))
                self.pointer = self.place_of_pixel(layer, (float(pixel[0]), float(pixel[1])))
                self.send(QEvent.Type.MouseMove, none, left)
            moved()
        self.send(QEvent.Type.MouseButtonRelease, left, none)
