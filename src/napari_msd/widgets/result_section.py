"""The result: how much is up to date, Predict all, export, and the progress of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_msd.widgets.parts import SPACING, button, heading, quiet_label, row

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette


class ResultSection(QWidget):
    """Predict all, export, copy, progress with Stop, and when the session was saved."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.coverage_label = quiet_label("coverage_label")
        self.coverage_label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.predict_all_button = button("predict_all_button", "Predict all")
        self.export_button = button("export_button", "Export …")
        self.copy_button = button("copy_button", "To layer")
        self.stop_button = button("stop_button", "Stop")
        self.progress_bar = QProgressBar()
        self.progress_bar.setObjectName("progress_bar")
        self.progress_bar.setRange(0, 100)
        self.progress_bar.setValue(0)
        self.progress_bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.progress_bar.setFormat("")
        self.progress_bar.setFixedHeight(20)
        self.saved_label = quiet_label("saved_label")
        self.saved_label.setVisible(False)
        self._colors: Palette | None = None
        self._complete = self._saved_warning = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addLayout(row(heading("Result"), self.coverage_label, stretch=(0, 1)))
        column.addLayout(row(self.predict_all_button, self.export_button, self.copy_button))
        column.addLayout(row(self.progress_bar, self.stop_button, stretch=(1, 0)))
        column.addWidget(self.saved_label)

    def show_coverage(self, text: str, *, complete: bool) -> None:
        """Say how much of the segmentation is up to date; green if all is."""
        self.coverage_label.setText(text)
        if complete is not self._complete:
            self._complete = complete
            self._restyle()

    def set_saved(self, text: str, *, warning: bool = False) -> None:
        """Say when the session was saved; empty for nothing."""
        self.saved_label.setText(text)
        self.saved_label.setToolTip(text)
        self.saved_label.setVisible(bool(text))
        if warning is not self._saved_warning:
            self._saved_warning = warning
            self._restyle()

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.progress_bar.setStyleSheet(
            f"QProgressBar {{ background: {colors.foreground}; color: {colors.text};"
            " border: none; border-radius: 3px; text-align: center; }"
            f"QProgressBar::chunk {{ background: {colors.current}; border-radius: 3px; }}"
        )
        self._restyle()

    def _restyle(self) -> None:
        colors = self._colors
        if colors is None:
            return
        for label, color in (
            (self.coverage_label, colors.good_text if self._complete else colors.muted),
            (self.saved_label, colors.warning if self._saved_warning else colors.muted),
        ):
            label.setStyleSheet(f"color: {color};")
