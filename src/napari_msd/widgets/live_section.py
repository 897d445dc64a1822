"""Live with its speed and curve, and the one sentence that says what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_msd.widgets.live_button import LiveButton
from napari_msd.widgets.parts import SPACING, button, row
from napari_msd.widgets.plots import LossPlot
from napari_msd.widgets.sparkline import Sparkline
from napari_msd.widgets.status import StatusLabel
from napari_msd.widgets.texts import ACTIONS, TOOLTIPS

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette


class LiveSection(QWidget):
    """Live, curve, plot, sentence."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.live_button = LiveButton()
        self.live_button.setToolTip(TOOLTIPS["live_button"])
        self.sparkline = Sparkline()
        self.loss_plot = LossPlot()
        self.loss_plot.setVisible(False)
        self.sparkline.toggled.connect(self._on_plot)
        self.status_label = StatusLabel()
        self.show_me_button = button("show_me_button", "Show me  N")
        self.next_button = button("next_button")
        self.next_button.setVisible(False)
        actions = QVBoxLayout()
        actions.setSpacing(0)
        actions.addWidget(self.show_me_button)
        actions.addWidget(self.next_button)
        said = row(self.status_label, stretch=(1,))
        said.addLayout(actions)
        said.setAlignment(actions, Qt.AlignmentFlag.AlignVCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addLayout(row(self.live_button, self.sparkline, stretch=(1, 0)))
        column.addWidget(self.loss_plot)
        column.addLayout(said)

    def show_action(self, action: str) -> None:
        """Show the action that belongs to the sentence: a key of `texts.ACTIONS`, else Show me."""
        self.next_button.setText(ACTIONS.get(action, ""))
        self.next_button.setProperty("action", action)
        self.next_button.setVisible(action in ACTIONS)
        self.show_me_button.setVisible(action not in ACTIONS)

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.live_button.set_palette(colors)
        self.sparkline.set_palette(colors)
        self.loss_plot.set_palette(colors)
        self.status_label.set_palette(colors)

    def _on_plot(self, opened: bool) -> None:
        self.loss_plot.setVisible(opened)
        self.loss_plot.draw()
