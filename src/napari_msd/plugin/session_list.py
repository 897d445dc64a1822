"""The list of saved sessions: open or delete them."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMessageBox,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_msd.core.errors import MSDError
from napari_msd.plugin import session_texts as texts
from napari_msd.storage import discard
from napari_msd.widgets.plain_text import plain_tooltip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.storage import SessionSummary

_COLUMNS = ("Images", "Last change", "Painted", "Size", "")


class SessionList(QDialog):
    """Sessions, newest first."""

    open_wanted = Signal(object)
    """The person wants to open the session in this file."""
    failed = Signal(str)
    """A session could not be deleted; carries a sentence."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("session_list")
        self.setWindowTitle("Sessions")
        self.resize(640, 360)
        self._sessions: list[SessionSummary] = []
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setObjectName("session_table")
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.itemSelectionChanged.connect(self._on_selection)
        self.table.itemDoubleClicked.connect(lambda item: self._open())
        self.total = QLabel()
        self.open_button = QPushButton("Open")
        self.open_button.setObjectName("open_session_button")
        self.open_button.clicked.connect(self._open)
        self.delete_button = QPushButton("Delete …")
        self.delete_button.setObjectName("delete_session_button")
        self.delete_button.clicked.connect(self._delete)
        close = QPushButton("Close")
        close.clicked.connect(self.close)
        row = QHBoxLayout()
        row.addWidget(self.total, 1)
        for button in (self.open_button, self.delete_button, close):
            button.setAutoDefault(False)
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addLayout(row)

    def fill(self, sessions: Sequence[SessionSummary]) -> None:
        """Show these sessions."""
        self._sessions = list(sessions)
        self.table.setRowCount(len(self._sessions))
        now = time()
        for row, session in enumerate(self._sessions):
            state = "open" if session.in_use else "" if session.ended_properly else "interrupted"
            cells = (
                texts.named(session),
                texts.ago(session.last_change, now),
                texts.strokes(session),
                texts.size([session]),
                session.problem or state,
            )
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(plain_tooltip(session.problem or str(session.path)))
                if column in (2, 3):
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(row, column, item)
        self.total.setText(
            f"{len(self._sessions)} sessions, {texts.size(self._sessions)}"
            if self._sessions
            else "There are no sessions yet."
        )
        if self._sessions:
            self.table.selectRow(0)
        self._on_selection()

    @property
    def selected(self) -> list[SessionSummary]:
        """The selected sessions."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [self._sessions[row] for row in rows]

    def _on_selection(self) -> None:
        selected = self.selected
        free = [session for session in selected if not session.in_use]
        self.open_button.setEnabled(len(selected) == len(free) == 1)
        self.delete_button.setEnabled(bool(free) and len(free) == len(selected))

    def _open(self) -> None:
        if self.open_button.isEnabled():
            self.open_wanted.emit(self.selected[0].path)
            self.close()

    def _delete(self) -> None:
        selected = self.selected
        box = QMessageBox(self)
        box.setObjectName("delete_sessions_question")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Delete sessions")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(texts.delete(selected))
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Yes | buttons.No)
        box.setDefaultButton(buttons.No)
        if box.exec() != buttons.Yes:
            return
        gone = []
        for session in selected:
            try:
                discard(session.path)
                gone.append(session)
            except MSDError as error:
                self.failed.emit(str(error))
        self.fill([session for session in self._sessions if session not in gone])
