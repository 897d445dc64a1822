"""What is shown over the image: segmentation, uncertainty or nothing, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_msd.session.view_mode import ViewMode
from napari_msd.widgets.parts import SPACING, button, row
from napari_msd.widgets.texts import TOOLTIPS
from napari_msd.widgets.theme import icon

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette


class ViewSection(QWidget):
    """A three-way switch, the opacity, and the lasso."""

    mode_wanted = Signal(object)
    """The `ViewMode` that the user wants to see."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.segmentation_button = button("segmentation_button", "Segmentation")
        self.uncertainty_button = button("uncertainty_button", "Uncertainty")
        self.image_button = button("image_button", "Image  H")
        self._buttons = {
            ViewMode.SEGMENTATION: self.segmentation_button,
            ViewMode.UNCERTAINTY: self.uncertainty_button,
            ViewMode.IMAGE: self.image_button,
        }
        self._mode = ViewMode.SEGMENTATION
        switch = QHBoxLayout()
        switch.setContentsMargins(0, 0, 0, 0)
        switch.setSpacing(1)
        for mode, made in self._buttons.items():
            made.setCheckable(True)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            made.clicked.connect(lambda checked, mode=mode: self._on_clicked(mode))
            switch.addWidget(made)
        self.opacity_slider = QSlider(Qt.Orientation.Horizontal)
        self.opacity_slider.setObjectName("opacity_slider")
        self.opacity_slider.setAccessibleName("Opacity")
        self.opacity_slider.setToolTip(TOOLTIPS["opacity_slider"])
        self.opacity_slider.setRange(0, 100)
        self.lasso_button = button("lasso_button", " This is right")
        self.lasso_button.setCheckable(True)
        self.lasso_button.setIconSize(QSize(13, 13))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addLayout(switch)
        column.addLayout(
            row(QLabel("Opacity"), self.opacity_slider, self.lasso_button, stretch=(0, 1, 0))
        )
        self.show_mode(ViewMode.SEGMENTATION)

    def show_mode(self, mode: ViewMode) -> None:
        """Show what is seen now."""
        self._mode = mode
        for other, made in self._buttons.items():
            made.setChecked(other is mode)

    def show_opacity(self, opacity: float | None) -> None:
        """Show the opacity (0..1) of what is seen; ``None`` if there is nothing to set."""
        self.opacity_slider.setEnabled(opacity is not None)
        if opacity is not None:
            with signals_blocked(self.opacity_slider):
                self.opacity_slider.setValue(round(100 * opacity))

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.lasso_button.setIcon(icon("polygon_lasso", colors))
        checked = f"QPushButton:checked {{ background: {colors.current}; }}"
        narrow = "QPushButton { padding-left: 3px; padding-right: 3px; border-radius: 0; }"
        for made in self._buttons.values():
            made.setStyleSheet(checked + narrow)
        self.lasso_button.setStyleSheet(checked)

    def _on_clicked(self, mode: ViewMode) -> None:
        """Ask for a mode; pressed again, uncertainty and image lead back to the segmentation."""
        wanted = ViewMode.SEGMENTATION if mode is self._mode else mode
        self.show_mode(self._mode)  # until it is really so
        self.mode_wanted.emit(wanted)
