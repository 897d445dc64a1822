"""The class list: number key, colour, name, painted pixels, quality and eye of every class.

A list whose items are the names, painted by a delegate. A click on a row picks the class, a click
on its colour recolours it, one on its eye shows or hides it in the segmentation, and the list's
own editor renames it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPoint, QSize, Qt, Signal
from qtpy.QtGui import QHelpEvent, QKeyEvent, QMouseEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QToolTip,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_msd.widgets.class_row import ROW_HEIGHT, VALUE, ClassRow, Part, part_at
from napari_msd.widgets.keys import is_typed
from napari_msd.widgets.plain_text import plain_tooltip
from napari_msd.widgets.texts import class_tooltip, eye_tooltip

if TYPE_CHECKING:
    from napari_msd.session.classes import ClassInfo, ClassTable
    from napari_msd.widgets.theme import Palette

_FEWEST_ROWS, _USUAL_ROWS = 2, 6
"""Rows that a low window shows at least, and for which there is room without moving anything."""


class ClassList(QListWidget):
    """Shows a `ClassTable`; emits what the user picks, renames, recolours, shows or hides."""

    picked = Signal(int)
    renamed = Signal(int, str)
    recolor_wanted = Signal(int)
    visibility_wanted = Signal(int, bool)
    """Class value, and whether the segmentation shall show it."""
    menu_wanted = Signal(int, QPoint)
    """Class value, and where on screen the menu of the class belongs."""

    def __init__(self, table: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("class_list")
        self.setAccessibleName("Classes")
        self._table = table
        self._rows = ClassRow(table.get, self)
        self._pressed: tuple[int, Part] | None = None
        """Class value and part (colour or eye) on which the mouse button went down."""
        self.setItemDelegate(self._rows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.setMouseTracking(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.itemClicked.connect(lambda item: self.picked.emit(item.data(VALUE)))
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
        return None if item is None else int(item.data(VALUE))

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._rows.set_palette(colors)
        self.setStyleSheet(
            f"QListWidget {{ background: {colors.foreground}; border-radius: 4px; padding: 1px; }}"
            f"QLineEdit {{ background: {colors.background}; color: {colors.text};"
            f" border: 1px solid {colors.current}; padding: 0 2px; }}"
        )
        self.viewport().update()

    # --- size ----------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """All rows, and room for a few more."""
        return QSize(280, self._height(max(len(self._table), _USUAL_ROWS)))

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """The first rows; the others scroll."""
        return QSize(200, self._height(_FEWEST_ROWS))

    def _height(self, rows: int) -> int:
        return rows * ROW_HEIGHT + 2 * int(self.frameWidth()) + 4

    # --- events --------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Leave letters and digits to the viewer instead of searching this list."""
        if is_typed(event):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Explain the eye where it is; elsewhere the row."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            item = self.itemAt(event.pos())
            if (
                item is not None
                and part_at(self.visualItemRect(item), event.pos()) is Part.EYE
                and (info := self._info(item)) is not None
            ):
                QToolTip.showText(event.globalPos(), plain_tooltip(eye_tooltip(info)), self)
                return True
        return bool(super().viewportEvent(event))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Colour and eye are buttons: pressing them does not pick the class."""
        self._pressed = self._button_at(event)
        if self._pressed is None:
            super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """The second of two quick clicks on a button is a click, too."""
        self._pressed = self._button_at(event)
        if self._pressed is None:
            super().mouseDoubleClickEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Do what the button is for, if the mouse is still on it."""
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            super().mouseReleaseEvent(event)
        elif pressed == self._button_at(event):
            value, part = pressed
            if part is Part.COLOR:
                self.recolor_wanted.emit(value)
            elif (info := self._table.get(value)) is not None:
                self.visibility_wanted.emit(value, not info.visible)

    def _button_at(self, event: QMouseEvent) -> tuple[int, Part] | None:
        """Class value and part (colour or eye) under the mouse, for its left button."""
        item = self.itemAt(event.pos())
        if item is None or event.button() != Qt.MouseButton.LeftButton:
            return None
        part = part_at(self.visualItemRect(item), event.pos())
        return None if part is Part.ROW else (int(item.data(VALUE)), part)

    def _on_menu(self, where: QPoint) -> None:
        item = self.itemAt(where)
        if item is not None:
            self.menu_wanted.emit(int(item.data(VALUE)), self.viewport().mapToGlobal(where))

    def edit_name(self, value: int) -> None:
        """Open the editor of a class's name."""
        for row in range(self.count()):
            if self.item(row).data(VALUE) == value:
                self.editItem(self.item(row))

    # --- content -------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Show the current table; the picked class stays picked.

        Rows are replaced only when classes were added or removed: a row that is being
        edited or clicked must not be deleted.
        """
        values = [self.item(row).data(VALUE) for row in range(self.count())]
        picked = self.current_value
        with signals_blocked(self):
            if values != [info.value for info in self._table]:
                self.clear()
                for info in self._table:
                    item = QListWidgetItem()
                    item.setData(VALUE, info.value)
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                    self.addItem(item)
                self.updateGeometry()
            for row, info in enumerate(self._table):
                self.item(row).setText(info.name)
                self.item(row).setToolTip(plain_tooltip(class_tooltip(info)))
        self.show_picked(picked)

    def show_picked(self, value: int | None) -> None:
        """Highlight a class without picking it again."""
        rows = (row for row in range(self.count()) if self.item(row).data(VALUE) == value)
        with signals_blocked(self):
            self.setCurrentRow(next(rows, -1))
        self.viewport().update()

    def _info(self, item: QListWidgetItem) -> ClassInfo | None:
        return self._table.get(int(item.data(VALUE)))

    def _on_numbers(self) -> None:
        with signals_blocked(self):  # a tooltip is not an edit
            for row in range(self.count()):
                if (info := self._info(self.item(row))) is not None:
                    self.item(row).setToolTip(plain_tooltip(class_tooltip(info)))
        self.viewport().update()

    def _on_edited(self, item: QListWidgetItem) -> None:
        value = int(item.data(VALUE))
        if value in self._table:
            self.renamed.emit(value, item.text())
            with signals_blocked(self):
                item.setText(self._table[value].name)  # an empty name is ignored
