"""Paints one row of the class list and finds which part of it is under the mouse."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, QObject, QPoint, QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from napari_msd.widgets.quality import QUALITY_STEPS, Quality, quality_of
from napari_msd.widgets.texts import QUALITY_WORDS, pixels_text
from napari_msd.widgets.theme import icon

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QIcon

    from napari_msd.session.classes import ClassInfo
    from napari_msd.widgets.theme import Palette

VALUE = Qt.ItemDataRole.UserRole
"""Role of an item's class value."""
ROW_HEIGHT = 24
_KEY, _SWATCH, _EYE, _GAP = 18, 14, 22, 5
_BAR_WIDTH, _BAR_GAP = 4, 2
_BARS = QUALITY_STEPS * (_BAR_WIDTH + _BAR_GAP)
_FAINT = 0.25
"""Opacity of the bars that a quality does not reach."""
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Part(Enum):
    """What a click on a row means."""

    ROW = auto()
    COLOR = auto()
    EYE = auto()


class ClassRow(QStyledItemDelegate):
    """Paints ``1 ■ background      1.4 k px  ▂▅▇ good  eye``.

    Parameters
    ----------
    info_of
        Returns the class of a value, ``None`` if there is none.
    """

    def __init__(
        self, info_of: Callable[[int], ClassInfo | None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._info_of = info_of
        self._colors: Palette | None = None
        self._eyes: dict[bool, QIcon] = {}

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self._eyes = {True: icon("visibility", colors), False: icon("visibility_off", colors)}

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:  # noqa: N802
        """All rows are equally high."""
        return QSize(120, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one row."""
        info, colors = self._info_of(int(index.data(VALUE))), self._colors
        if colors is None or info is None:
            return
        rect: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        picked = bool(option.state & QStyle.StateFlag.State_Selected)
        hover = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if picked or hover:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.highlight if picked else colors.primary))
            painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 3, 3)
        quiet = QColor(colors.text if picked else colors.muted)
        painter.setPen(quiet)
        key = QRect(rect.left(), rect.top(), _KEY, rect.height())
        painter.drawText(key, Qt.AlignmentFlag.AlignCenter, str(info.value))
        painter.setBrush(QColor(info.color))
        painter.setPen(QColor(colors.text if hover or picked else colors.muted))
        painter.drawRoundedRect(_swatch(rect), 3, 3)
        right = self._paint_measures(painter, rect, info, quiet)
        painter.setPen(QColor(colors.text))
        name = QRect(_name_left(rect), rect.top(), right - _name_left(rect), rect.height())
        painter.drawText(
            name,
            _LEFT,
            painter.fontMetrics().elidedText(
                info.name, Qt.TextElideMode.ElideRight, max(name.width(), 0)
            ),
        )
        self._paint_eye(painter, _eye(rect), shown=info.visible)
        painter.restore()

    def _paint_measures(
        self, painter: QPainter, rect: QRect, info: ClassInfo, quiet: QColor
    ) -> int:
        """Paint pixels and quality; returns where the room for the name ends."""
        assert self._colors is not None
        metrics = painter.fontMetrics()
        words, bars, pixels = self._widths(metrics)
        end, quality = _eye(rect).left() - _GAP, quality_of(info)
        painter.setPen(quiet)
        count = pixels_text(info.pixels) if info.pixels else "–"
        if not quality.step:  # the words need the room of the number, the name that of the bars
            text = QUALITY_WORDS.get(quality, count)
            width = metrics.horizontalAdvance(text)
            painter.drawText(QRect(end - width, rect.top(), width, rect.height()), _RIGHT, text)
            return int(end - width) - 2 * _GAP
        word = QRect(end - words, rect.top(), words, rect.height())
        painter.drawText(word, _LEFT, QUALITY_WORDS[quality])
        _paint_bars(painter, word.left() - bars, rect, quality, self._colors)
        number = QRect(word.left() - bars - pixels, rect.top(), pixels - _GAP, rect.height())
        painter.setPen(quiet)
        painter.drawText(number, _RIGHT, count)
        return int(number.left()) - _GAP

    @staticmethod
    def _widths(metrics: Any) -> tuple[int, int, int]:
        """Widths of the columns of words, bars and pixels."""
        words = max(
            metrics.horizontalAdvance(text)
            for quality, text in QUALITY_WORDS.items()
            if quality is not Quality.TOO_FEW
        )
        return words, _BARS + 2, metrics.horizontalAdvance("999 k px") + 2 * _GAP

    def _paint_eye(self, painter: QPainter, rect: QRect, *, shown: bool) -> None:
        painter.setOpacity(1.0 if shown else 0.45)
        middle = rect.center()
        self._eyes[shown].paint(painter, QRect(middle.x() - 7, middle.y() - 7, 15, 15))

    # --- editing -------------------------------------------------------------------------

    def createEditor(self, parent: Any, option: Any, index: Any) -> Any:  # noqa: N802
        """Give the editor of a name its own object name."""
        editor = super().createEditor(parent, option, index)
        editor.setObjectName("class_name_editor")
        return editor

    def updateEditorGeometry(self, editor: Any, option: Any, index: Any) -> None:  # noqa: N802
        """Let the editor cover name and measures."""
        rect, left = option.rect, _name_left(option.rect) - 3
        right = _eye(rect).left() - _GAP
        editor.setGeometry(QRect(left, rect.top() + 2, right - left, rect.height() - 4))


def part_at(rect: QRect, position: QPoint) -> Part:
    """Which part of the row in `rect` is at a position."""
    if _swatch(rect).adjusted(-3, -4, 3, 4).contains(position):
        return Part.COLOR
    return Part.EYE if _eye(rect).contains(position) else Part.ROW


def _swatch(rect: QRect) -> QRect:
    top = rect.top() + (rect.height() - _SWATCH) // 2
    return QRect(rect.left() + _KEY, top, _SWATCH, _SWATCH)


def _eye(rect: QRect) -> QRect:
    return QRect(rect.right() - _EYE, rect.top(), _EYE, rect.height())


def _name_left(rect: QRect) -> int:
    return int(rect.left()) + _KEY + _SWATCH + _GAP + 2


def _paint_bars(
    painter: QPainter, left: int, rect: QRect, quality: Quality, colors: Palette
) -> None:
    """Bars of growing height, as many as the quality's step; the others are faint."""
    bottom = rect.center().y() + 6
    painter.setPen(Qt.PenStyle.NoPen)
    for step in range(1, QUALITY_STEPS + 1):
        height = 3 * step
        color = QColor(colors.text)
        color.setAlphaF(1.0 if step <= quality.step else _FAINT)
        painter.setBrush(color)
        painter.drawRect(
            left + (step - 1) * (_BAR_WIDTH + _BAR_GAP), bottom - height, _BAR_WIDTH, height
        )
