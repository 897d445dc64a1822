"""The history of a network: a list of its versions; the user can go back to any of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, QTimer
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
from superqt.utils import signals_blocked

from napari_msd.plugin import texts
from napari_msd.trainer.messages import Finished, Measured, TrainerDied
from napari_msd.widgets.texts import iou_text, pixels_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.document import Version
    from napari_msd.session.connection import Opened
    from napari_msd.session.controller import Controller

_COLUMNS = ("", "Time", "IoU", "Painted", "Steps", "Seed", "From")
_NUMBERS = range(2, 6)
_PAUSE_MS = 1000
"""Time after the last stroke until all versions are measured again: training comes first."""


class Versions(QObject):
    """Shows the versions, and goes back to the selected one.

    Scores in a network's history were measured on the strokes of their time. To make them
    comparable, all versions are measured again on the current held-out strokes, in the background.
    """

    def __init__(self, controller: Controller, window: QWidget) -> None:
        super().__init__(window)
        self._controller, self._window = controller, window
        self._scores: dict[bytes, float | None] = {}
        """Score of each model on the current held-out strokes."""
        self._asked: list[bytes] = []
        self._asked_in: Opened | None = None
        """The session that was asked; only that session answers."""
        self._request = 0
        self._painted = QTimer(self)
        self._painted.setSingleShot(True)
        self._painted.setInterval(_PAUSE_MS)
        self._painted.timeout.connect(self._on_other_strokes)
        self.dialog: HistoryDialog | None = None
        controller.work_changed.connect(self._refresh)
        controller.network_changed.connect(self._on_other_strokes)
        controller.strokes.edited.connect(self._painted.start)
        controller.heard.connect(self._on_event)

    def show(self) -> None:
        """Open the list, or bring it to the front."""
        if self.dialog is None:
            self.dialog = HistoryDialog(self._window)
            self.dialog.wanted.itemActivated.connect(self.go_back)
            self.dialog.back_button.clicked.connect(self.go_back)
        self.dialog.show()
        self.dialog.raise_()
        self._refresh()

    def go_back(self) -> None:
        """Go back to the version that is selected in the list."""
        version = self.dialog.picked if self.dialog is not None else None
        history = self._controller.network.history
        if version is None or version is history.present:
            return
        self._controller.weights.go_back(version)
        self._controller.notices.notice.emit(
            "info",
            texts.went_back(version.figures.steps),
        )

    def _refresh(self) -> None:
        if self.dialog is None or not self.dialog.isVisible():
            return
        history = self._controller.network.history
        self.dialog.fill(history.versions, history.present, self._scores)
        unknown = [v.model for v in history.versions if v.model not in self._scores]
        opened = self._controller.connection.opened
        if self._asked_in is not opened:
            self._asked = []
        if unknown and not self._asked and opened is not None and opened.annotation is not None:
            self._asked, self._asked_in = unknown, opened
            self._request += 1
            self._controller.connection.client.measure(unknown, self._request)

    def _on_event(self, event: object) -> None:
        if isinstance(event, Measured) and event.request == self._request:
            asked, self._asked = self._asked, []
            self._scores |= {
                asked[i]: score for i, score in event.scores.items() if 0 <= i < len(asked)
            }
            self._refresh()
        elif isinstance(event, Finished | TrainerDied):  # the request was dropped
            self._asked = []
            self._refresh()

    def _on_other_strokes(self) -> None:
        self._scores.clear()
        self._asked = []
        self._request += 1  # a late answer was measured on other strokes
        self._refresh()


class HistoryDialog(QDialog):
    """A list of versions, newest first; the current one is marked."""

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
        """The selected version."""
        row = self.wanted.indexOfTopLevelItem(self.wanted.currentItem())
        return self._versions[row] if 0 <= row < len(self._versions) else None

    def fill(
        self,
        versions: list[Version],
        present: Version | None,
        scores: Mapping[bytes, float | None],
    ) -> None:
        """Show these versions, given oldest first; the selection stays.

        `scores` are those measured now, by model.
        """
        picked = self.picked
        self._versions = list(reversed(versions))
        self._present = present
        with signals_blocked(self.wanted):
            self.wanted.clear()
            for version in self._versions:
                item = QTreeWidgetItem(_row(version, version is present, scores))
                item.setToolTip(
                    2, texts.SCORE_CURRENT if version.model in scores else texts.SCORE_EARLIER
                )
                for column in _NUMBERS:
                    item.setTextAlignment(
                        column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.wanted.addTopLevelItem(item)
                if version is picked:
                    self.wanted.setCurrentItem(item)
            for column in range(len(_COLUMNS)):
                self.wanted.resizeColumnToContents(column)
        self.text.setText(texts.HISTORY if versions else texts.EMPTY_HISTORY)
        self._on_picked()

    def _on_picked(self) -> None:
        picked = self.picked
        self.back_button.setEnabled(picked is not None and picked is not self._present)


def _row(version: Version, present: bool, scores: Mapping[bytes, float | None]) -> list[str]:
    figures = version.figures
    try:
        time = datetime.fromisoformat(figures.created).astimezone().strftime("%d %b %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        time = figures.created  # a model file may contain any text
    if version.model in scores:
        iou = iou_text(scores[version.model])
    else:
        iou = f"({iou_text(figures.score)})" if figures.score is not None else "–"
    return [
        "●" if present else "",
        time,
        iou,
        pixels_text(figures.painted) if figures.pieces else "–",
        f"{figures.steps}",
        f"{figures.seed}",
        version.source,
    ]
