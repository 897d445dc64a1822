"""The class list: number key, colour, name, painted pixels and IoU of every class.

A list whose items are the names, painted by a delegate. A click on a row picks the class, a click
on its colour recolours it, and the list's own editor renames it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_msd.widgets.keys import is_typed
from napari_msd.widgets.plain_text import plain_tooltip
from napari_msd.widgets.texts import class_tooltip, pixels_text, score_text

if TYPE_CHECKING:
    from napari_msd.session.classes import ClassTable
    from napari_msd.widgets.theme import Palette

_VALUE = Qt.ItemDataRole.UserRole
_KEY_WIDTH, _SWATCH, _PIXELS_WIDTH, _IOU_WIDTH, _GAP = 20, 16, 62, 88, 6
_ROW_HEIGHT = 24
_MAX_ROWS = 6


class ClassList(QListWidget):
    """Shows a `ClassTable`; emits which class the user picks, renames or wants to recolour."""

    picked = Signal(int)
    renamed = Signal(int, str)
    recolor_wanted = Signal(int)

    def __init__(self, table: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("class_list")
        self.setAccessibleName("Classes")
        self._table = table
        self.palette_now: Palette | None = None
        self.setItemDelegate(_RowPainter(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.setMouseTracking(True)
        self.itemClicked.connect(lambda item: self.picked.emit(item.data(_VALUE)))
        self.itemChanged.connect(self._on_edited)
        table.changed.connect(self.rebuild)
        table.numbers_changed.connect(self._on_numbers)
        self.rebuild()

    @property
    def table(self) -> ClassTable:
        """The table that is shown."""
        return self._table

    @property
    def current_value(self) -> int | None:
        """Value of the picked class."""
        item = self.currentItem()
        return None if item is None else int(item.data(_VALUE))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Leave letters and digits to the viewer instead of searching this list."""
        if is_typed(event):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def rebuild(self) -> None:
        """Show the current table; the picked class stays picked.

        Rows are replaced only when classes were added or removed: a row that is being
        edited or clicked must not be deleted.
        """
        values = [self.item(row).data(_VALUE) for row in range(self.count())]
        picked = self.current_value
        with signals_blocked(self):
            if values != [info.value for info in self._table]:
                self.clear()
                for info in self._table:
                    item = QListWidgetItem()
                    item.setData(_VALUE, info.value)
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                    self.addItem(item)
            for row, info in enumerate(self._table):
                self.item(row).setText(info.name)
                self.item(row).setToolTip(plain_tooltip(class_tooltip(info)))
        self.show_picked(picked)
        rows = min(max(len(self._table), 2), _MAX_ROWS)
        self.setFixedHeight(rows * _ROW_HEIGHT + 2 * self.frameWidth() + 4)

    def show_picked(self, value: int | None) -> None:
        """Highlight a class without picking it again."""
        rows = (row for row in range(self.count()) if self.item(row).data(_VALUE) == value)
        with signals_blocked(self):
            self.setCurrentRow(next(rows, -1))
        self.viewport().update()

    def _on_numbers(self) -> None:
        with signals_blocked(self):  # a tooltip is not an edit
            for row in range(self.count()):
                value = int(self.item(row).data(_VALUE))
                if value in self._table:
                    self.item(row).setToolTip(plain_tooltip(class_tooltip(self._table[value])))
        self.viewport().update()

    def _on_edited(self, item: QListWidgetItem) -> None:
        value = int(item.data(_VALUE))
        if value in self._table:
            self.renamed.emit(value, item.text())
            with signals_blocked(self):
                item.setText(self._table[value].name)  # an empty name is ignored


class _RowPainter(QStyledItemDelegate):
    """Paints one row: ``1 ■ background      3 214 px   IoU .91 ±.05``."""

    def __init__(self, owner: ClassList) -> None:
        super().__init__(owner)
        self._owner = owner

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:  # noqa: N802
        return QSize(120, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        colors, value = self._owner.palette_now, int(index.data(_VALUE))
        if colors is None or value not in self._owner.table:
            return
        info, rect = self._owner.table[value], option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        picked = bool(option.state & QStyle.StateFlag.State_Selected)
        hover = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if picked or hover:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.highlight if picked else colors.primary))
            painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 3, 3)
        key = QRect(rect.left(), rect.top(), _KEY_WIDTH, rect.height())
        painter.setPen(QColor(colors.text if picked else colors.muted))
        painter.drawText(key, Qt.AlignmentFlag.AlignCenter, str(value))
        swatch = self._swatch(rect)
        painter.setBrush(QColor(info.color))
        painter.setPen(QColor(colors.text if hover or picked else colors.muted))
        painter.drawRoundedRect(swatch, 3, 3)
        painter.setPen(QColor(colors.text))
        name = self._name(rect)
        text = painter.fontMetrics().elidedText(
            info.name, Qt.TextElideMode.ElideRight, name.width()
        )
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(name, left, text)
        painter.setPen(QColor(colors.text if picked else colors.muted))
        number = QRect(name.right() + _GAP, rect.top(), _PIXELS_WIDTH, rect.height())
        painter.drawText(number, right, pixels_text(info.pixels))
        number = QRect(number.right(), rect.top(), _IOU_WIDTH, rect.height())
        painter.drawText(number.adjusted(0, 0, -4, 0), right, score_text(info))
        painter.restore()

    def createEditor(self, parent: Any, option: Any, index: Any) -> Any:  # noqa: N802
        editor = super().createEditor(parent, option, index)
        editor.setObjectName("class_name_editor")
        return editor

    def updateEditorGeometry(self, editor: Any, option: Any, index: Any) -> None:  # noqa: N802
        editor.setGeometry(self._name(option.rect).adjusted(-3, 2, 3, -2))

    def editorEvent(self, event: Any, model: Any, option: Any, index: Any) -> bool:  # noqa: N802
        if (
            event.type() == QEvent.Type.MouseButtonRelease
            and isinstance(event, QMouseEvent)
            and event.button() == Qt.MouseButton.LeftButton
            and self._swatch(option.rect).adjusted(-3, -3, 3, 3).contains(event.pos())
        ):
            self._owner.recolor_wanted.emit(int(index.data(_VALUE)))
            return True
        return bool(super().editorEvent(event, model, option, index))

    def _swatch(self, rect: QRect) -> QRect:
        top = rect.top() + (rect.height() - _SWATCH) // 2
        return QRect(rect.left() + _KEY_WIDTH, top, _SWATCH, _SWATCH)

    def _name(self, rect: QRect) -> QRect:
        left = rect.left() + _KEY_WIDTH + _SWATCH + _GAP + 2
        right = rect.right() - _PIXELS_WIDTH - _IOU_WIDTH - 2 * _GAP
        return QRect(left, rect.top(), max(right - left, 30), rect.height())
