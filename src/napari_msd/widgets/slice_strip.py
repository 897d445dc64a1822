"""A thin strip of the slices of a stack: how sure the network is of each, and where strokes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_msd.widgets.theme import IOU_COLOR, WAITING

if TYPE_CHECKING:
    from napari_msd.session.slice_confidence import Slices
    from napari_msd.widgets.theme import Palette

_HEIGHT = 20
_MARK = 4
"""Height of the marks of strokes, in pixels."""
_SURE, _UNSURE = 0.98, 0.7
"""Mean confidence that is drawn as surest, and as least sure."""


class SliceStrip(QWidget):
    """One column for each slice, or for several if there are more than pixels."""

    picked = Signal(int)
    """Number of the slice that was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("slice_strip")
        self.setAccessibleName("Slices")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._slices: Slices | None = None
        self._colors: Palette | None = None
        self.setVisible(False)

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Thin."""
        return QSize(120, _HEIGHT)

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.update()

    @property
    def slices(self) -> Slices | None:
        """What is shown."""
        return self._slices

    def show_slices(self, slices: Slices | None) -> None:
        """Show the slices of a stack; ``None`` hides the strip."""
        if slices != self._slices:
            self._slices = slices
            self.setVisible(slices is not None)
            self.setAccessibleDescription("" if slices is None else said_of(slices, slices.current))
            self.update()

    def slice_at(self, x: float) -> int:
        """Number of the slice at a place along the strip, in pixels."""
        n = len(self._slices.confidence) if self._slices is not None else 0
        return min(max(int(x * n / max(1, self.width())), 0), max(0, n - 1))

    # --- Qt's events -------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Go to the slice."""
        if event.button() == Qt.MouseButton.LeftButton and self._slices is not None:
            self.picked.emit(self.slice_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Go through the slices."""
        if event.buttons() & Qt.MouseButton.LeftButton and self._slices is not None:
            self.picked.emit(self.slice_at(event.position().x()))

    def event(self, event: QEvent) -> bool:
        """Say what is known of the slice below the mouse."""
        if isinstance(event, QHelpEvent) and self._slices is not None:
            number = self.slice_at(event.pos().x())
            QToolTip.showText(event.globalPos(), said_of(self._slices, number), self)
            return True
        return bool(super().event(event))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw columns, marks of strokes, and where one is."""
        slices, colors = self._slices, self._colors
        if slices is None or colors is None:
            return
        painter = QPainter(self)
        n, width, height = len(slices.confidence), self.width(), self.height() - _MARK - 1
        painter.fillRect(QRectF(0, 0, width, height), QColor(colors.foreground))
        columns = min(n, width)
        for column in range(columns):
            low, high = column * n // columns, (column + 1) * n // columns
            left, right = column * width / columns, (column + 1) * width / columns
            known = [c for c in slices.confidence[low:high] if c is not None]
            gap = 1 if width / columns > 4 else 0
            if known:
                color = _color(min(known), dark=colors.dark)
                painter.fillRect(QRectF(left, 0, right - left - gap, height), color)
            if any(number in slices.strokes for number in range(low, high)):
                mark = QRectF(left, height + 1, max(2.0, right - left - gap), _MARK)
                painter.fillRect(mark, QColor(colors.text))
        left = (slices.current + 0.5) * width / n
        painter.fillRect(QRectF(min(left - 1, width - 2), 0, 2, self.height()), QColor(colors.text))


def said_of(slices: Slices, number: int) -> str:
    """What is known of a slice, in a line."""
    confidence = slices.confidence[number]
    sure = "not predicted" if confidence is None else f"{confidence:.0%} sure"
    strokes = ", has strokes" if number in slices.strokes else ""
    return f"Slice {number}: {sure}{strokes}"  # numbered as napari's slider does


def _color(confidence: float, *, dark: bool) -> QColor:
    """From orange (unsure) to blue (sure): told apart whatever colours one sees."""
    share = min(max((confidence - _UNSURE) / (_SURE - _UNSURE), 0.0), 1.0)
    unsure, sure = QColor(WAITING), QColor(IOU_COLOR[dark])
    mixed = [
        round(a + (b - a) * share)
        for a, b in zip(unsure.getRgb()[:3], sure.getRgb()[:3], strict=True)
    ]
    return QColor(*mixed)
