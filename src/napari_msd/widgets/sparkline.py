"""A small curve of the IoU beside Live; a click opens the large plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from napari_msd.widgets.texts import TOOLTIPS
from napari_msd.widgets.theme import IOU_COLOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.widgets.theme import Palette

_MARGIN = 5


class Sparkline(QAbstractButton):
    """The IoU of the held-out strokes over training, and its newest value.

    Checked while the large plot is open.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sparkline")
        self.setCheckable(True)
        self.setAccessibleName("Plot of loss and IoU")
        self.setToolTip(TOOLTIPS["sparkline"])
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._colors: Palette | None = None
        self._curve: list[tuple[float, float]] = []

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """As high as Live."""
        return QSize(96, 42)

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.update()

    def show_scores(self, points: Sequence[tuple[float, float]], text: str) -> None:
        """Show the IoU (0..1) over training steps, and what is said of the newest one."""
        if text != self.text() or list(points) != self._curve:
            self._curve = list(points)
            self.setText(text)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw frame, curve and text."""
        colors = self._colors
        if colors is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        bright = self.underMouse() or self.hasFocus()
        painter.setPen(QColor(colors.text if bright else colors.primary))
        painter.setBrush(QColor(colors.primary if self.isChecked() else colors.foreground))
        painter.drawRoundedRect(box, 4, 4)
        inner = box.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        if len(self._curve) > 1:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(IOU_COLOR[colors.dark]), 1.5))
            painter.drawPolyline(_polygon(self._curve, inner.adjusted(0, 13, 0, 0)))
        painter.setPen(QColor(colors.text if self.text() else colors.muted))
        align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop
        if self.text():
            painter.drawText(inner, align, self.text())
        else:
            painter.drawText(inner, Qt.AlignmentFlag.AlignCenter, "no curve yet")


def _polygon(curve: list[tuple[float, float]], box: QRectF) -> QPolygonF:
    """The curve in a box; the whole range 0..1 of the IoU is its height."""
    first, last = curve[0][0], curve[-1][0]
    width = max(last - first, 1)
    return QPolygonF(
        [
            QPointF(
                box.left() + box.width() * (step - first) / width,
                box.bottom() - box.height() * min(max(score, 0), 1),
            )
            for step, score in curve
        ]
    )
