"""The panel's head: image, strokes, the menu's button, and how to start in an empty viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_msd.widgets.parts import SPACING, button, combo, icon_button, quiet_label, row
from napari_msd.widgets.texts import START
from napari_msd.widgets.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette


class StartCard(QFrame):
    """Tells how to start; shown as long as no image is open."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("start_card")
        self.open_image_button = button("open_image_button", "Open image …")
        self.sample_button = button("sample_button", "Try a sample")
        text = WrappedLabel(START)
        text.setObjectName("start_text")
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 6, 6)
        column.setSpacing(2)
        column.addWidget(text)
        column.addLayout(row(self.open_image_button, self.sample_button))

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.setStyleSheet(
            f"QFrame#start_card {{ background: {colors.foreground}; border-radius: 4px;"
            f" border: 1px solid {colors.current}; }}"
            "QLabel { background: transparent; }"
        )


class Head(QWidget):
    """Chooses image and strokes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image_combo = combo("image_combo")
        self.annotation_combo = combo("annotation_combo")
        self.new_annotation_button = button("new_annotation_button", "New")
        self.menu_button = icon_button("menu_button", "⋯")
        self.image_text = quiet_label("image_text")
        self._annotation_label = QLabel("Strokes")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(SPACING - 1)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("Image"), 0, 0)
        grid.addWidget(self.image_combo, 0, 1, 1, 2)
        grid.addWidget(self.menu_button, 0, 3, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self.image_text, 1, 1, 1, 3)
        grid.addWidget(self._annotation_label, 2, 0)
        grid.addWidget(self.annotation_combo, 2, 1)
        grid.addWidget(self.new_annotation_button, 2, 2, 1, 2)

    def show_annotation(self, shown: bool) -> None:
        """Show or hide the choice of strokes."""
        for widget in (self._annotation_label, self.annotation_combo, self.new_annotation_button):
            widget.setVisible(shown)

    def set_image_text(self, text: str) -> None:
        """Describe the image; empty for none."""
        self.image_text.setText(text)
        self.image_text.setToolTip(text)
        self.image_text.setVisible(bool(text))
