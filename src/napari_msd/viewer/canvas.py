"""napari's canvas as a Qt widget: places on it, and a transparent sheet to draw on.

A sheet costs nothing in the layer list: drawing a ring or an outline with a layer of its own takes
napari half a second, and makes that layer the active one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QObject, QPointF, Qt
from qtpy.QtWidgets import QMainWindow, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CANVAS_CLASS = "QOpenGLWidget"


class Canvas:
    """Where pixels of layers are on screen, in a 2-D view.

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    inside
        Any widget in napari's window.
    """

    def __init__(self, viewer: Any, inside: QWidget) -> None:
        self._viewer, self._inside = viewer, inside

    @property
    def widget(self) -> QWidget | None:
        """The widget that shows the image; ``None`` if it is not found, or shows a grid or 3-D."""
        if self._viewer.dims.ndisplay != 2 or self._viewer.canvas.grid.enabled:
            return None
        parent = self._inside
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parentWidget()  # a floating dock's parent is the window, too
        centre = parent.centralWidget() if parent is not None else None
        if centre is None:
            return None
        found = (w for w in centre.findChildren(QWidget) if w.inherits(_CANVAS_CLASS))
        return next(found, None)

    @property
    def zoom(self) -> float:
        """Screen pixels per world unit."""
        return float(self._viewer.scene.camera.zoom)

    def position(self, layer: Any, pixel: Sequence[float], widget: QWidget) -> QPointF:
        """Where a pixel of `layer`, given by all its axes, is on the canvas `widget`."""
        world = np.asarray(layer.data_to_world(pixel), float)
        first = self._viewer.dims.ndim - len(world)  # the viewer may have axes the layer lacks
        shown = [world[axis - first] for axis in self._viewer.dims.displayed[-2:]]
        y, x = (np.asarray(shown) - self._centre) * self._signs * self.zoom
        return QPointF(widget.width() / 2 + x, widget.height() / 2 + y)

    def pixel(self, layer: Any, where: QPointF, widget: QWidget) -> NDArray[np.floating[Any]]:
        """The pixel (all axes) of `layer` that is at a place of the canvas `widget`."""
        offset = np.array([where.y() - widget.height() / 2, where.x() - widget.width() / 2])
        point = np.array(self._viewer.dims.point, float)
        displayed = list(self._viewer.dims.displayed[-2:])
        point[displayed] = self._centre + offset * self._signs / self.zoom
        return np.asarray(layer.world_to_data(point), float)

    @property
    def _centre(self) -> NDArray[np.floating[Any]]:
        return np.asarray(self._viewer.scene.camera.center, float)[-2:]

    @property
    def _signs(self) -> NDArray[np.floating[Any]]:
        """1 where world and screen run the same way: down and right."""
        vertical, horizontal = (str(o.value) for o in self._viewer.scene.camera.orientation[-2:])
        return np.array([1.0 if vertical == "down" else -1.0, 1.0 if horizontal == "right" else -1])


class Sheet(QWidget):
    """A transparent widget that covers the canvas."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setStyleSheet("background: transparent;")
        self.resize(canvas.size())
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Follow the size of the canvas."""
        if event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.resize(watched.size())
        return False
