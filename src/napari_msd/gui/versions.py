"""The history of a network: a list of its versions, any of which can be gone back to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_msd.gui.class_list import iou_text

if TYPE_CHECKING:
    from napari_msd.gui.controller import Controller
    from napari_msd.session import Version

_COLUMNS = ("", "Time", "IoU", "Strokes", "Painted", "Steps", "Seed", "From")
_NUMBERS = range(2, 7)


class Versions(QObject):
    """Shows the versions, and goes back to the one that is picked."""

    def __init__(self, controller: Controller, window: QWidget) -> None:
        super().__init__(window)
        self._controller, self._window = controller, window
        self.dialog: HistoryDialog | None = None
        controller.work_changed.connect(self._refresh)
        controller.subject.changed.connect(self._refresh)

    def show(self) -> None:
        """Open the list, or bring it to the front."""
        if self.dialog is None:
            self.dialog = HistoryDialog(self._window)
            self.dialog.wanted.itemActivated.connect(self.go_back)
            self.dialog.back_button.clicked.connect(self.go_back)
        self._refresh()
        self.dialog.show()
        self.dialog.raise_()

    def go_back(self) -> None:
        """Go back to the version that is picked in the list."""
        version = self.dialog.picked if self.dialog is not None else None
        history = self._controller.network.history
        if version is None or version is history.present:
            return
        self._controller.go_back(version)
        self._controller.notice.emit(
            "info",
            f"Back to the version of step {version.figures.steps}; the others stay in History.",
        )

    def _refresh(self) -> None:
        if self.dialog is not None:
            history = self._controller.network.history
            self.dialog.fill(history.versions, history.present)


class HistoryDialog(QDialog):
    """A list of versions, newest first; the present one is marked."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("history_dialog")
        self.setWindowTitle("History of the network")
        self._versions: list[Version] = []
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.wanted = QTreeWidget()
        self.wanted.setObjectName("history_list")
        self.wanted.setHeaderLabels(_COLUMNS)
        self.wanted.setRootIsDecorated(False)
        self.wanted.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.wanted.setUniformRowHeights(True)
        self.wanted.currentItemChanged.connect(self._on_picked)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.back_button = box.addButton("Go back to it", QDialogButtonBox.ButtonRole.ActionRole)
        self.back_button.setObjectName("roll_back_button")
        self.back_button.setEnabled(False)
        box.rejected.connect(self.hide)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.wanted)
        layout.addWidget(box)
        self.resize(560, 320)

    @property
    def picked(self) -> Version | None:
        """The version that is picked."""
        row = self.wanted.indexOfTopLevelItem(self.wanted.currentItem())
        return self._versions[row] if 0 <= row < len(self._versions) else None

    def fill(self, versions: list[Version], present: Version | None) -> None:
        """Show these, oldest given first; what is picked stays picked."""
        picked = self.picked
        self._versions = list(reversed(versions))
        self._present = present
        self.wanted.blockSignals(True)
        self.wanted.clear()
        for version in self._versions:
            item = QTreeWidgetItem(_row(version, version is present))
            for column in _NUMBERS:
                item.setTextAlignment(
                    column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
            self.wanted.addTopLevelItem(item)
            if version is picked:
                self.wanted.setCurrentItem(item)
        for column in range(len(_COLUMNS)):
            self.wanted.resizeColumnToContents(column)
        self.wanted.blockSignals(False)
        self.text.setText(
            "Pick a version and go back to it: it is shown, and training goes on from it. "
            "Nothing is lost, the others stay in the list."
            if versions
            else "There are no versions yet: press Live, and the best networks are kept here."
        )
        self._on_picked()

    def _on_picked(self) -> None:
        picked = self.picked
        self.back_button.setEnabled(picked is not None and picked is not self._present)


def _row(version: Version, present: bool) -> list[str]:
    figures = version.figures
    try:
        time = datetime.fromisoformat(figures.created).astimezone().strftime("%d %b %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        time = figures.created  # a model file may tell any text
    known = figures.pieces > 0
    return [
        "●" if present else "",
        time,
        iou_text(figures.score),
        f"{figures.pieces}" if known else "–",
        f"{figures.painted:,} px".replace(",", "\u202f") if known else "–",
        f"{figures.steps}",
        f"{figures.seed}",
        version.source,
    ]
