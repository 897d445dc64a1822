"""Painting and classes: the brush's tools, the class list, and what changes the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_msd.widgets.class_list import ClassList
from napari_msd.widgets.parts import SPACING, button, icon_button, row
from napari_msd.widgets.texts import TOOLTIPS
from napari_msd.widgets.theme import icon

if TYPE_CHECKING:
    from napari_msd.session.classes import ClassTable
    from napari_msd.widgets.theme import Palette

LARGEST_BRUSH = 60
"""Largest brush of the slider, in pixels of the annotation; a larger one set in napari stays."""


class ClassSection(QWidget):
    """Paint, erase, brush size, undo; the class list; add, remove, merge."""

    def __init__(self, table: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.paint_button = button("paint_button", " Paint")
        self.erase_button = button("erase_button", " Erase")
        for tool in (self.paint_button, self.erase_button):
            tool.setCheckable(True)
            tool.setIconSize(QSize(13, 13))
        self.brush_slider = QSlider(Qt.Orientation.Horizontal)
        self.brush_slider.setObjectName("brush_slider")
        self.brush_slider.setAccessibleName("Brush size")
        self.brush_slider.setToolTip(TOOLTIPS["brush_slider"])
        self.brush_slider.setRange(1, LARGEST_BRUSH)
        self.brush_slider.setMinimumWidth(40)
        self.brush_slider.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.brush_text = QLabel()
        self.brush_text.setObjectName("brush_text")
        self.brush_text.setToolTip(TOOLTIPS["brush_slider"])
        self.brush_text.setFixedWidth(self.fontMetrics().horizontalAdvance("000") + 4)
        self.undo_button = icon_button("undo_button", "↶")
        self.redo_button = icon_button("redo_button", "↷")
        self.class_list = ClassList(table)
        self.add_class_button = button("add_class_button", " Class")
        self.remove_class_button = button("remove_class_button", " Remove")
        self.merge_class_button = button("merge_class_button", "Merge …")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addLayout(
            row(
                self.paint_button,
                self.erase_button,
                self.brush_slider,
                self.brush_text,
                self.undo_button,
                self.redo_button,
                stretch=(0, 0, 1, 0, 0, 0),
            )
        )
        column.addWidget(self.class_list)
        column.addLayout(
            row(self.add_class_button, self.remove_class_button, self.merge_class_button)
        )

    def show_brush(self, mode: str, size: float) -> None:
        """Show the annotation layer's tool (napari's name of its mode) and brush size (pixels)."""
        self.paint_button.setChecked(mode == "paint")
        self.erase_button.setChecked(mode == "erase")
        with signals_blocked(self.brush_slider):
            self.brush_slider.setValue(min(round(size), LARGEST_BRUSH))
        self.brush_text.setText(f"{size:.0f}" if size else "")

    def show_footer(self, shown: bool) -> None:
        """Show or hide the buttons that change the list."""
        for made in (self.add_class_button, self.remove_class_button, self.merge_class_button):
            made.setVisible(shown)

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.class_list.set_palette(colors)
        for made, name in (
            (self.paint_button, "paint"),
            (self.erase_button, "erase"),
            (self.add_class_button, "plus"),
            (self.remove_class_button, "minus"),
        ):
            made.setIcon(icon(name, colors))
        for made in (self.add_class_button, self.remove_class_button):
            made.setIconSize(QSize(10, 10))
        style = (
            f"QPushButton:checked {{ background: {colors.current}; }}"
            "QPushButton { padding-left: 5px; padding-right: 5px; }"
        )
        self.paint_button.setStyleSheet(style)
        self.erase_button.setStyleSheet(style)
