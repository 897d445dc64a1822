"""Plots the loss and the held-out IoU over training steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QWidget

from napari_msd.widgets.theme import IOU_COLOR, LOSS_COLOR

if TYPE_CHECKING:
    from napari_msd.trainer.messages import Progress
    from napari_msd.widgets.theme import Palette

_MAX_POINTS = 600
_HEIGHT = 76


class LossPlot(pg.PlotWidget):
    """Loss on the left axis, mean IoU of the held-out strokes (0..1) on the right one.

    Notes
    -----
    At most a few hundred points are drawn: when there are more, every second one is dropped, so
    drawing takes no longer after a night of training than after a minute.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("loss_plot")
        self.setFixedHeight(_HEIGHT)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setToolTip("Training loss (left) and mean IoU on held-out strokes (right)")
        item = self.getPlotItem()
        item.setContentsMargins(0, 8, 0, 6)  # room for half of the outermost numbers
        self._right = pg.ViewBox(enableMenu=False, enableMouse=False)
        item.showAxis("right")
        for name in ("left", "right", "bottom"):
            # avoid "loss (x0.001)"; after a label is set this would scale the numbers
            item.getAxis(name).enableAutoSIPrefix(False)
        item.scene().addItem(self._right)
        item.getAxis("right").linkToView(self._right)
        self._right.setXLink(item)
        self._right.setYRange(0, 1, padding=0.02)
        item.getAxis("right").setTicks([[(0, "0"), (0.5, ".5"), (1, "1")]])
        item.vb.sigResized.connect(self._align)
        item.vb.setLimits(yMin=0)
        self._loss_curve = self.plot([], [])
        self._iou_curve = pg.PlotCurveItem()
        self._right.addItem(self._iou_curve)
        self._loss: list[tuple[int, float]] = []
        self._iou: list[tuple[int, float]] = []
        self.draw()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Narrow enough for a dock of 320 px."""
        return QSize(280, _HEIGHT)

    @property
    def n_points(self) -> tuple[int, int]:
        """Number of points of loss and of IoU shown."""
        return len(self._loss), len(self._iou)

    @property
    def scores(self) -> list[tuple[int, float]]:
        """Training step and IoU of each point of the IoU curve."""
        return list(self._iou)

    def clear_history(self) -> None:
        """Remove all points, for a new network."""
        self._loss.clear()
        self._iou.clear()
        self.draw()

    def add(self, progress: Progress) -> None:
        """Add the newest figures; `draw` shows them."""
        if progress.loss is not None:
            _append(self._loss, progress.step, progress.loss)
        if progress.score is not None:
            _append(self._iou, progress.step, progress.score)

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.setBackground(colors.background)
        loss, iou = LOSS_COLOR[colors.dark], IOU_COLOR[colors.dark]
        self._loss_curve.setPen(pg.mkPen(loss, width=1.5))
        self._iou_curve.setPen(pg.mkPen(iou, width=1.5))
        for name, color, text in (
            ("left", loss, "loss"),
            ("right", iou, "IoU"),
            ("bottom", colors.muted, ""),
        ):
            axis = self.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(colors.muted, width=0.5))
            axis.setTextPen(color)
            axis.setStyle(tickLength=-3, maxTickLevel=0, tickTextOffset=2)
            if text:
                axis.setLabel(text, color=color)

    def _align(self) -> None:
        self._right.setGeometry(self.getPlotItem().vb.sceneBoundingRect())

    def _label_ends(self) -> None:
        """Number the ends of the loss curve only: more would overprint at this height.

        Axis numbers without a curve mean nothing, so there are none.
        """
        drawn = len(self._loss) > 1
        losses = [loss for _, loss in self._loss]
        steps = [step for step, _ in self._loss]
        for name, values, form in (("left", losses, "{:.2g}"), ("bottom", steps, "{:,}")):
            axis = self.getPlotItem().getAxis(name)
            ends = sorted({min(values), max(values)}) if drawn else []
            axis.setTicks([[(end, form.format(end).replace(",", "\u202f")) for end in ends]])
            axis.setStyle(showValues=drawn)

    def draw(self) -> None:
        """Show all figures added so far; a plot that is hidden is drawn when it is opened."""
        if self.isHidden():
            return
        self._label_ends()
        self._loss_curve.setData(*_columns(self._loss))
        self._iou_curve.setData(*_columns(self._iou))


def _append(points: list[tuple[int, float]], step: int, value: float) -> None:
    if points and step < points[-1][0]:
        points.clear()  # the trainer started again
    points.append((step, value))
    if len(points) > _MAX_POINTS:
        del points[1:-1:2]


def _columns(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
