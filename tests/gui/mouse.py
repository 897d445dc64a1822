"""A person's hand: mouse and keys as Qt events on the real canvas."""

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QApplication


class Mouse:
    def __init__(self, viewer, qtbot):
        self._viewer = viewer
        self._qtbot = qtbot

    @property
    def canvas(self):
        return self._viewer.window._qt_viewer.canvas.native

    def position(self, layer, pixel):
        """Where on the canvas a layer's (row, column) lies."""
        world = np.asarray(layer.data_to_world((*self._viewer.dims.current_step[:-2], *pixel)))[-2:]
        camera = self._viewer.scene.camera
        offset = (world - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPointF(self.canvas.width() / 2 + offset[1], self.canvas.height() / 2 + offset[0])

    def _send(self, kind, position, button, buttons):
        where = QPointF(self.canvas.mapToGlobal(position.toPoint()))
        event = QMouseEvent(kind, position, where, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.canvas, event)
        QApplication.processEvents()

    def stroke(self, layer, start, end, steps=12):
        """Press, drag, release."""
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        points = [
            self.position(layer, np.asarray(start) + (np.asarray(end) - start) * t)
            for t in np.linspace(0, 1, steps)
        ]
        self._send(QEvent.Type.MouseMove, points[0], none, none)
        self._send(QEvent.Type.MouseButtonPress, points[0], left, left)
        for point in points[1:]:
            self._send(QEvent.Type.MouseMove, point, none, left)
        self._send(QEvent.Type.MouseButtonRelease, points[-1], left, none)

    def press_key(self, key, text=""):
        self._key(QEvent.Type.KeyPress, key, text)

    def release_key(self, key, text=""):
        self._key(QEvent.Type.KeyRelease, key, text)

    def key(self, key, text=""):
        self.press_key(key, text)
        self.release_key(key, text)

    def _key(self, kind, key, text):
        event = QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, text)
        QApplication.sendEvent(self.canvas, event)
        QApplication.processEvents()
