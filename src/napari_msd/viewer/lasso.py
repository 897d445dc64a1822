"""The lasso: draw around a part of the segmentation that is right; it becomes strokes.

The outline is drawn on a sheet over the canvas, so that active layer, mode and selection stay as
they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from qtpy.QtCore import QObject, QPointF, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF

from napari_msd.viewer.canvas import Canvas, Sheet
from napari_msd.viewer.label_data import finest
from napari_msd.viewer.layers import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtWidgets import QWidget

    from napari_msd.viewer.annotation_tools import AnnotationTools
    from napari_msd.viewer.view_watcher import ViewWatcher

_COLOR, _FILL = "#ffe14d", "#30ffe14d"


class Lasso(QObject):
    """Copies what the segmentation shows inside an outline to the annotation.

    Strokes inside the outline stay as they are; only pixels without a stroke are filled.

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    screen
        Knows which plane is on screen.
    tools
        Writes to the annotation.
    window
        A widget in napari's window.
    """

    ended = Signal(int)
    """Drawing has ended; carries the number of pixels that became strokes."""
    switched = Signal(bool)
    """Whether an outline is being drawn."""

    def __init__(
        self, viewer: Any, screen: ViewWatcher, tools: AnnotationTools, window: QWidget
    ) -> None:
        super().__init__(window)
        self._canvas = Canvas(viewer, window)
        self._screen, self._tools = screen, tools
        self.sheet: OutlineSheet | None = None
        self._segmentation: Any = None

    @property
    def active(self) -> bool:
        """Whether an outline is being drawn."""
        return self.sheet is not None

    def start(self, segmentation: Any) -> None:
        """Let the person draw an outline on the plane that is on screen.

        Nothing happens if no plane is on screen.
        """
        self.cancel()
        canvas = self._canvas.widget
        if canvas is None or not self._screen.planes_lie_flat():
            return
        self._segmentation = segmentation
        self.sheet = sheet = OutlineSheet(canvas)
        sheet.closed.connect(self._finish)
        sheet.cancelled.connect(self.cancel)
        sheet.destroyed.connect(self._forget)  # with the canvas, when napari closes
        sheet.show()
        sheet.setFocus()  # for Esc
        self.switched.emit(True)

    def cancel(self) -> None:
        """End drawing without copying anything."""
        if self.active:
            self._end(0)

    def _finish(self) -> None:
        """The outline is closed: copy what is inside."""
        sheet = self.sheet
        if sheet is None:
            return
        layer, canvas = self._segmentation, sheet.parentWidget()
        outline = [self._canvas.pixel(layer, where, canvas)[-2:] for where in sheet.points]
        self._end(self._copy(inside(np.asarray(outline), layer.data.shape[-2:])))

    def _copy(self, found: NDArray[np.intp]) -> int:
        """Copy the segmentation to those pixels (n, 2) that have no stroke; returns how many."""
        annotation = self._tools.layer
        if annotation is None or not len(found):
            return 0
        plane = self._screen.shown_index()[:-2]
        low, high = found.min(axis=0), found.max(axis=0) + 1
        box = (*plane, *map(slice, low, high))
        rows, columns = (found - low).T
        shown = np.asarray(finest(self._segmentation.data)[box])[rows, columns]
        painted = np.asarray(pixels(annotation)[box])[rows, columns]
        new = (shown > 0) & (painted == 0)
        chosen = found[new]
        index = np.tile(np.asarray(plane, np.intp), (len(chosen), 1))
        self._tools.fill(np.hstack([index, chosen]), shown[new])
        return int(new.sum())

    def _forget(self) -> None:
        """Let go of the sheet, which may be gone already."""
        self.sheet = self._segmentation = None

    def _end(self, n_copied: int) -> None:
        sheet = self.sheet
        self._forget()
        if sheet is not None:
            sheet.destroyed.disconnect(self._forget)
            if sheet.hasFocus():
                sheet.parentWidget().setFocus()
            sheet.hide()
            sheet.deleteLater()
        self.switched.emit(False)
        self.ended.emit(n_copied)


class OutlineSheet(Sheet):
    """Collects the places that the mouse passes with the left button held."""

    closed = Signal()
    cancelled = Signal()

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("lasso_sheet")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.points: list[QPointF] = []

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Begin an outline; another button than the left one ends drawing."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.points = [event.position()]
        else:
            self.cancelled.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw on."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.points.append(event.position())
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Close the outline; a mere click draws none."""
        if event.button() == Qt.MouseButton.LeftButton and len(self.points) > 2:
            self.closed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Esc ends drawing; other keys go to napari."""
        if event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw the outline so far."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor(_FILL))
        painter.setPen(QPen(QColor(_COLOR), 2))
        painter.drawPolygon(QPolygonF(self.points))


def inside(outline: NDArray[np.floating[Any]], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Row and column of all pixels inside an outline.

    Parameters
    ----------
    outline
        (n, 2): row and column of its corners, in pixels; pixel centres are whole numbers.
    shape
        Rows and columns of the plane; what lies outside of it is left out.

    Returns
    -------
    ndarray
        (m, 2); empty if the outline has fewer than three corners.
    """
    low = np.clip(np.floor(outline.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(outline.max(axis=0)) + 1, 0, shape).astype(int)
    rows, columns = (high - low).tolist()
    if rows <= 0 or columns <= 0 or len(outline) < 3:
        return np.empty((0, 2), np.intp)
    mask = Image.new("1", (columns, rows))
    corners = [(float(x), float(y)) for y, x in outline - low]
    ImageDraw.Draw(mask).polygon(corners, fill=1)
    found: NDArray[np.intp] = np.argwhere(np.asarray(mask)) + low
    return found
