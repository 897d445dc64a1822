"""Which layers are the channels of the image: a button that opens a list with ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_msd.widgets.plain_text import plain_tooltip
from napari_msd.widgets.texts import TOOLTIPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.widgets.theme import Palette

_MAX_ROWS = 8
_PADDING = 6
"""Free pixels around the rows, above and below together."""


class _Button(QPushButton):
    """Shows as much of a text as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str) -> None:
        self._whole = text
        self._elide()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = max(self.width() - 16, 0)
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, room))


class _Popup(QFrame):
    """Closes with Escape."""

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
        else:
            super().keyPressEvent(event)


class ChannelChoice(QWidget):
    """Names the ticked layers; `changed` carries the rows that are ticked after a click."""

    changed = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = _Button()
        self.button.setObjectName("channels_button")
        self.button.setToolTip(TOOLTIPS["channels_button"])
        self.popup = _Popup(self, Qt.WindowType.Popup)
        self.popup.setObjectName("channels_popup")
        self.list = QListWidget(self.popup)
        self.list.setObjectName("channel_list")
        self.list.setAccessibleName("Channels")
        column = QVBoxLayout(self.popup)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.list)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.button)
        self.button.clicked.connect(self.open)
        self.list.itemChanged.connect(self._on_item)
        self.list.itemPressed.connect(self._on_pressed)
        self.list.itemClicked.connect(self._on_clicked)
        self._toggled = False
        """Whether this click has changed a tick already: it was on the box, not on the name."""
        self._shown: tuple[tuple[str, bool], ...] = ()
        self._fixed = -1

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.popup.setStyleSheet(
            f"QFrame#channels_popup {{ background: {colors.background};"
            f" border: 1px solid {colors.highlight}; border-radius: 4px; }}"
            f"QListWidget {{ background: {colors.background}; border: none; }}"
        )

    def show_channels(self, names: Sequence[str], ticked: Sequence[bool], fixed: int) -> None:
        """Show these layers.

        Parameters
        ----------
        names, ticked
            Of each layer.
        fixed
            Row of the image itself, which cannot be unticked.
        """
        wanted = tuple(zip(names, ticked, strict=True))
        if (wanted, fixed) == (self._shown, self._fixed):
            return
        self._shown, self._fixed = wanted, fixed
        used = [name for name, on in wanted if on]
        self.button.show_text(f"{len(used)} of {len(names)}:  {', '.join(used)}")
        self.button.setToolTip(plain_tooltip("\n".join([*used, "", TOOLTIPS["channels_button"]])))
        self.list.blockSignals(True)
        if self.list.count() != len(names):
            self.list.clear()
            for _ in names:
                self.list.addItem(QListWidgetItem())
        for row, (name, on) in enumerate(wanted):
            item = self.list.item(row)
            item.setText(name)
            item.setToolTip(plain_tooltip(name))
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable
            item.setFlags(Qt.ItemFlag.NoItemFlags if row == fixed else flags)
        self.list.blockSignals(False)

    def open(self) -> None:
        """Open the list below the button."""
        rows = min(max(self.list.count(), 1), _MAX_ROWS)
        height = rows * max(self.list.sizeHintForRow(0), 16) + 2 * self.list.frameWidth()
        self.list.setFixedHeight(height + _PADDING)
        self.popup.setFixedWidth(max(self.button.width(), 160))
        margins = self.popup.layout().contentsMargins()
        self.popup.setFixedHeight(self.list.height() + margins.top() + margins.bottom())
        corner = self.button.mapToGlobal(self.button.rect().bottomLeft())
        if (screen := self.button.screen()) is not None:
            free = screen.availableGeometry()
            corner.setX(max(free.left(), min(corner.x(), free.right() - self.popup.width())))
            corner.setY(max(free.top(), min(corner.y(), free.bottom() - self.popup.height())))
        self.popup.move(corner + QPoint(0, 2))
        self.popup.show()

    def tick(self, row: int, on: bool) -> None:
        """Tick or untick a row, as a click does."""
        self.list.item(row).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def _on_pressed(self, item: QListWidgetItem) -> None:
        self._toggled = False

    def _on_clicked(self, item: QListWidgetItem) -> None:
        """A click on a name ticks it, too."""
        if not self._toggled and item.flags() & Qt.ItemFlag.ItemIsUserCheckable:
            self.tick(self.list.row(item), item.checkState() != Qt.CheckState.Checked)

    def _on_item(self, item: QListWidgetItem) -> None:
        self._toggled = True
        ticked = [
            row
            for row in range(self.list.count())
            if self.list.item(row).checkState() == Qt.CheckState.Checked
        ]
        self.changed.emit(ticked)
