"""The panel's head: image, channels, mode, strokes, and how to start in an empty viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_msd.session.texts import MODES
from napari_msd.widgets.axes_menu import AxesMenu
from napari_msd.widgets.channel_choice import ChannelChoice
from napari_msd.widgets.parts import (
    SPACING,
    button,
    combo,
    eliding_label,
    icon_button,
    row,
    show_whole,
)
from napari_msd.widgets.texts import START
from napari_msd.widgets.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.widgets.theme import Palette

MODE_NAMES = tuple(MODES.values())
_NO_BREAK = "\u00a0"
_MODE_WIDTH = 92
"""Of the combo, in pixels: its items are short, and the reason beside it needs the room."""


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
    """Chooses image, channels, mode and strokes, and says what was understood of the image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image_combo = combo("image_combo")
        self.annotation_combo = combo("annotation_combo")
        self.new_annotation_button = button("new_annotation_button", "New")
        self.menu_button = icon_button("menu_button", "⋯")
        self.image_text = WrappedLabel()
        self.image_text.setObjectName("image_text")
        self.described = ""
        """What is said of the image, with ordinary spaces."""
        self.axes_button = button("axes_button", "Axes")
        self.axes_menu = AxesMenu(self)
        self.channel_choice = ChannelChoice()
        self.mode_combo = combo("mode_combo", MODE_NAMES)
        self.mode_text = eliding_label("mode_text")
        self._channels_label, self._mode_label = QLabel("Channels"), QLabel("Mode")
        self._annotation_label = QLabel("Strokes")
        self.axes_button.clicked.connect(self._open_axes)
        self._compose()
        self.show_channels((), (), 0)
        self.show_mode(None, "")

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme where its stylesheet does not reach."""
        self.channel_choice.set_palette(colors)

    def show_annotation(self, shown: bool) -> None:
        """Show or hide the choice of strokes."""
        for widget in (self._annotation_label, self.annotation_combo, self.new_annotation_button):
            widget.setVisible(shown)

    def set_image_text(self, text: str) -> None:
        """Describe the image; empty for none."""
        self.described = text
        # lines are broken between the parts only
        whole = text.replace(" ", _NO_BREAK).replace(f"{_NO_BREAK}·{_NO_BREAK}", f"{_NO_BREAK}· ")
        self.image_text.setText(whole)
        self.image_text.setVisible(bool(text))

    def show_axes(self, letters: str, lengths: Sequence[int], *, said: bool) -> None:
        """Offer to correct the axes before Y and X; without them there is nothing to correct."""
        self.axes_button.setVisible(bool(lengths))
        self.axes_menu.show_axes(letters, lengths, said=said)

    def show_channels(self, names: Sequence[str], ticked: Sequence[bool], fixed: int) -> None:
        """Show the layers that could be channels; nothing if there is only the image."""
        shown = len(names) > 1
        self._channels_label.setVisible(shown)
        self.channel_choice.setVisible(shown)
        if shown:
            self.channel_choice.show_channels(names, ticked, fixed)

    def show_mode(self, mode: str | None, reason: str, tip: str = "") -> None:
        """Show mode and the reason of the proposal; ``None`` if there is nothing to choose."""
        for widget in (self._mode_label, self.mode_combo, self.mode_text):
            widget.setVisible(mode is not None)
        if mode is not None:
            with signals_blocked(self.mode_combo):
                self.mode_combo.setCurrentText(mode)
        show_whole(self.mode_text, reason, tip)

    def _open_axes(self) -> None:
        corner = self.axes_button.mapToGlobal(self.axes_button.rect().bottomRight())
        self.axes_menu.popup(corner - QPoint(self.axes_menu.sizeHint().width() - 1, 0))

    def _compose(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(SPACING - 1)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("Image"), 0, 0)
        grid.addWidget(self.image_combo, 0, 1, 1, 2)
        grid.addWidget(self.menu_button, 0, 3, Qt.AlignmentFlag.AlignRight)
        grid.addLayout(row(self.image_text, self.axes_button, stretch=(1, 0)), 1, 0, 1, 4)
        grid.addWidget(self._channels_label, 2, 0)
        grid.addWidget(self.channel_choice, 2, 1, 1, 3)
        grid.addWidget(self._mode_label, 3, 0)
        self.mode_combo.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.mode_combo.setFixedWidth(_MODE_WIDTH)
        grid.addLayout(row(self.mode_combo, self.mode_text, stretch=(0, 1)), 3, 1, 1, 3)
        grid.addWidget(self._annotation_label, 4, 0)
        grid.addWidget(self.annotation_combo, 4, 1)
        grid.addWidget(self.new_annotation_button, 4, 2, 1, 2)
