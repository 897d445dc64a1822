"""What a person does to classes with buttons and dialogs: add, remove, merge, recolour."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QMenu, QMessageBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_msd.gui.controller import Controller
    from napari_msd.gui.panel import Panel


class ClassActions(QObject):
    """Wires the class list and its buttons; `remove` and `merge` ask nothing."""

    def __init__(self, controller: Controller, panel: Panel, window: QWidget) -> None:
        super().__init__(window)
        self._controller, self._panel, self._window = controller, panel, window
        panel.add_class_button.clicked.connect(self._on_add)
        panel.remove_class_button.clicked.connect(self._on_remove)
        panel.merge_class_button.clicked.connect(self._on_merge)
        panel.class_list.picked.connect(controller.desk.pick)
        panel.class_list.renamed.connect(controller.classes.rename)
        panel.class_list.recolor_wanted.connect(self._on_recolor)
        controller.desk.picked.connect(panel.class_list.show_picked)

    def remove(self, value: int) -> None:
        """Remove a class and erase its strokes."""
        self.merge(value, 0)

    def merge(self, value: int, into: int) -> None:
        """Make a class's strokes part of another class (0: of none)."""
        controller = self._controller
        controller.strokes.finish()
        controller.desk.repaint(controller.strokes.snapshot, value, into)
        controller.strokes.finish()
        controller.classes.remove(value)
        if into:
            controller.desk.pick(into)

    def _on_add(self) -> None:
        value = self._controller.classes.add()
        if value is None:
            self._controller.notice.emit("warning", "There can be no more than 255 classes.")
            return
        self._panel.class_list.show_picked(value)
        self._controller.desk.pick(value)

    def _on_remove(self) -> None:
        value = self._panel.class_list.current_value
        if value is None:
            self._controller.notice.emit("info", "Pick the class to remove in the list first.")
        elif not self._controller.classes[value].pixels or self._sure(value):
            self.remove(value)

    def _sure(self, value: int) -> bool:
        info = self._controller.classes[value]
        answer = QMessageBox.question(
            self._window,
            "Remove class",
            f"Remove “{info.name}” and erase its {info.pixels:,} painted pixels? "
            "Undo on the annotation layer brings them back.",
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _on_merge(self) -> None:
        value = self._panel.class_list.current_value
        others = [info for info in self._controller.classes if info.value != value]
        if value is None or not others:
            self._controller.notice.emit("info", "Pick the class to merge in the list first.")
            return
        menu = QMenu(self._window)
        menu.setObjectName("merge_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = self._controller.classes[value].name
        for info in others:
            action = menu.addAction(f"“{name}” becomes part of “{info.name}”")
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
