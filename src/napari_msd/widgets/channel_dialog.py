"""Asks once which layer is which channel of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QVBoxLayout, QWidget

from napari_msd.widgets.parts import combo
from napari_msd.widgets.plain_text import shortened
from napari_msd.widgets.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME_LENGTH = 40


class ChannelDialog(QDialog):
    """One combo of layers for each channel that a model wants.

    Parameters
    ----------
    text
        What to say above them.
    channels
        Names of the model's channels, in its order.
    layers
        Names of the layers to choose from, at least as many.
    proposed
        Row of the layer that is chosen first, for each channel.
    """

    def __init__(
        self,
        text: str,
        channels: Sequence[str],
        layers: Sequence[str],
        proposed: Sequence[int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("channel_dialog")
        self.setWindowTitle("Channels of the model")
        self.setMinimumWidth(320)
        form = QFormLayout()
        self.combos = []
        for channel, row in zip(channels, proposed, strict=True):
            made = combo("channel_combo", tuple(layers))
            made.setCurrentIndex(row)
            made.setMinimumWidth(180)
            made.currentIndexChanged.connect(self._check)
            form.addRow(shortened(channel, _NAME_LENGTH), made)
            self.combos.append(made)
        self.message = WrappedLabel(lines=1)
        self.message.setObjectName("channel_message")
        buttons = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(buttons.Ok | buttons.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(WrappedLabel(text))
        column.addLayout(form)
        column.addWidget(self.message)
        column.addWidget(self.buttons)
        self._check()

    @property
    def rows(self) -> tuple[int, ...]:
        """The chosen layer of each channel."""
        return tuple(made.currentIndex() for made in self.combos)

    def _check(self, index: int = 0) -> None:
        """A layer cannot be two channels."""
        twice = len(set(self.rows)) < len(self.rows)
        self.message.setText("Choose another layer for each channel." if twice else "")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not twice)
