"""Buttons and dialogs of the class list: add, remove, merge, recolour."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QMenu, QMessageBox

from napari_msd.plugin import texts
from napari_msd.widgets.plain_text import plain_action

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_msd.session.controller import Controller
    from napari_msd.viewer.annotation_tools import AnnotationTools
    from napari_msd.widgets.panel import Panel


class ClassActions(QObject):
    """Connects the class list and its buttons; `remove` and `merge` ask no questions."""

    def __init__(
        self, controller: Controller, tools: AnnotationTools, panel: Panel, window: QWidget
    ) -> None:
        super().__init__(window)
        self._controller, self._tools = controller, tools
        self._panel, self._window = panel, window
        panel.add_class_button.clicked.connect(self._on_add)
        panel.remove_class_button.clicked.connect(self._on_remove)
        panel.merge_class_button.clicked.connect(self._on_merge)
        panel.class_list.picked.connect(self._tools.pick)
        panel.class_list.renamed.connect(controller.classes.rename)
        panel.class_list.recolor_wanted.connect(self._on_recolor)
        panel.class_list.visibility_wanted.connect(controller.classes.show)
        panel.class_list.menu_wanted.connect(self._on_menu)
        self._tools.picked.connect(panel.class_list.show_picked)

    def remove(self, value: int) -> None:
        """Remove a class and erase its strokes; the brush changes to the nearest class."""
        values = [info.value for info in self._controller.classes]
        others = sorted(values, key=lambda other: (abs(other - value), other))[1:]
        self._replace(value, 0, pick=others[0] if others else None)

    def merge(self, value: int, into: int) -> None:
        """Give a class's strokes to another class."""
        self._replace(value, into, pick=into)

    def _replace(self, value: int, new: int, pick: int | None) -> None:
        """Repaint all strokes of a class, once all of them are found."""
        strokes = self._controller.strokes
        self._controller.notices.acted.emit()
        strokes.finish()
        if not strokes.busy:
            self._replace_now(value, new, pick)
            return
        self._controller.notices.info(texts.SEARCHING)
        layer = strokes.layer

        def go_on() -> None:
            strokes.scanned.disconnect(go_on)
            self._controller.notices.past.emit(texts.SEARCHING)
            # another annotation may have been chosen meanwhile: leave its strokes alone
            if strokes.layer is layer and value in self._controller.classes:
                self._replace_now(value, new, pick)

        strokes.scanned.connect(go_on)

    def _replace_now(self, value: int, new: int, pick: int | None) -> None:
        controller = self._controller
        self._tools.repaint(controller.strokes.snapshot.annotation, value, new)
        controller.strokes.finish()
        controller.classes.remove(value)
        if pick is not None:
            self._tools.pick(pick)

    def _on_add(self) -> None:
        value = self._controller.classes.add()
        if value is None:
            self._controller.notices.warn(texts.TOO_MANY_CLASSES)
            return
        self._panel.class_list.show_picked(value)
        self._tools.pick(value)

    def _on_remove(self) -> None:
        value = self._panel.class_list.current_value
        if value is None:
            self._controller.notices.info(texts.PICK_TO_REMOVE)
        else:
            self._ask_remove(value)

    def _ask_remove(self, value: int) -> None:
        """Remove a class; if it has strokes, ask first."""
        if not self._controller.classes[value].pixels or self._confirmed(value):
            self.remove(value)

    def _confirmed(self, value: int) -> bool:
        info = self._controller.classes[value]
        box = QMessageBox(self._window)
        box.setObjectName("remove_class_question")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Remove class")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(texts.remove_class(info.name, info.pixels))
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Yes | buttons.No)
        box.setDefaultButton(buttons.No)
        return bool(box.exec() == buttons.Yes)

    def _on_menu(self, value: int, where: QPoint) -> None:
        """Show the menu of one class."""
        info = self._controller.classes[value]
        menu = QMenu(self._window)
        menu.setObjectName("class_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        rows = self._panel.class_list
        menu.addAction("Rename").triggered.connect(lambda: rows.edit_name(value))
        menu.addAction("Colour …").triggered.connect(lambda: self._on_recolor(value))
        text = "Hide in the segmentation" if info.visible else "Show in the segmentation"
        menu.addAction(text).triggered.connect(
            lambda: self._controller.classes.show(value, not info.visible)
        )
        menu.addSeparator()
        others = menu.addMenu("Merge into")
        for other in self._controller.classes:
            if other.value != value:
                action = others.addAction(plain_action(other.name))
                action.triggered.connect(partial(self._merge_picked, value, other.value))
        others.setEnabled(len(self._controller.classes) > 1)
        menu.addAction("Remove").triggered.connect(lambda: self._ask_remove(value))
        menu.popup(where)

    def _on_merge(self) -> None:
        value = self._panel.class_list.current_value
        others = [info for info in self._controller.classes if info.value != value]
        if value is None or not others:
            self._controller.notices.info(texts.PICK_TO_MERGE)
            return
        menu = QMenu(self._window)
        menu.setObjectName("merge_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = self._controller.classes[value].name
        for info in others:
            action = menu.addAction(plain_action(texts.merge_into(name, info.name)))
            action.triggered.connect(partial(self._merge_picked, value, info.value))
        button = self._panel.merge_class_button
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _merge_picked(self, value: int, into: int, checked: bool = False) -> None:
        self.merge(value, into)

    def _on_recolor(self, value: int) -> None:
        info = self._controller.classes[value]
        color = QColorDialog.getColor(QColor(info.color), self._window, f"Colour of “{info.name}”")
        if color.isValid():
            self._controller.classes.recolor(value, color.name())
