"""A ring around the place that Show me has found, as long as its sentence speaks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen

from napari_msd.viewer.canvas import Canvas, Sheet

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_msd.core.box import Box

_COLOR = "#ffe14d"
_LEAST_RADIUS = 14.0
"""Smallest ring, in screen pixels."""


class PlaceMarker(QObject):
    """Draws the ring over the canvas; it follows the camera, and goes when planes change.

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    window
        A widget in napari's window.
    """

    def __init__(self, viewer: Any, window: QWidget) -> None:
        super().__init__(window)
        self._canvas = Canvas(viewer, window)
        self._camera, self._dims = viewer.scene.camera, viewer.dims
        self.ring: Ring | None = None

    def show(self, image: Any, box: Box) -> None:
        """Show a ring around `box` of `image`; nothing in 3-D, where no place is flat."""
        self.remove()
        canvas = self._canvas.widget
        if canvas is None:
            return
        self.ring = ring = Ring(self._canvas, canvas, image, box)
        for event in (self._camera.events.center, self._camera.events.zoom):
            event.connect(self._follow)
        for event in (self._dims.events.current_step, self._dims.events.ndisplay):
            event.connect(self.remove)  # another plane is seen: the place is not in it
        ring.destroyed.connect(self._forget)  # with the canvas, when napari closes
        ring.show()

    def remove(self, event: Any = None) -> None:
        """Remove the ring, if there is one."""
        ring = self.ring
        self._forget()
        if ring is not None:
            ring.destroyed.disconnect(self._forget)
            ring.hide()
            ring.deleteLater()

    def _forget(self) -> None:
        """Let go of the ring, which may be gone already."""
        if self.ring is not None:
            self.ring = None
            for event in (self._camera.events.center, self._camera.events.zoom):
                event.disconnect(self._follow)
            for event in (self._dims.events.current_step, self._dims.events.ndisplay):
                event.disconnect(self.remove)

    def _follow(self, event: Any = None) -> None:
        if self.ring is not None:
            self.ring.update()


class Ring(Sheet):
    """A ring around a box of an image."""

    def __init__(self, view: Canvas, canvas: QWidget, image: Any, box: Box) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._view, self._parent, self._image, self.box = view, canvas, image, box

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw the ring where the box is now; dark edges make it visible on any image."""
        middle = [(a + b - 1) / 2 for a, b in zip(self.box.start, self.box.stop, strict=True)]
        centre = self._view.position(self._image, middle, self._parent)
        scale = float(max(abs(self._image.scale[-2:])))
        radius = max(max(self.box.shape[-2:]) * scale * self._view.zoom / 2, _LEAST_RADIUS)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for color, width in (("#c0000000", 6.0), (_COLOR, 3.0)):
            painter.setPen(QPen(QColor(color), width))
            painter.drawEllipse(centre, radius, radius)
