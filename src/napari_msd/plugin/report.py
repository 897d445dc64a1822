"""The dialog "Report a problem": a text to read, copy and send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qtpy
from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
)

from napari_msd.plugin import texts
from napari_msd.session.report import problem_report

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_msd.session.controller import Controller


def report_problem(parent: QWidget, controller: Controller) -> None:
    """Show the report on a session; for a menu's action."""
    show_report(parent, problem_report(controller, {qtpy.API_NAME: _qt_version()}))


def show_report(parent: QWidget, text: str) -> None:
    """Show a text that can be read and copied, in a dialog that does not block the window."""
    dialog = QDialog(parent)
    dialog.setObjectName("report_dialog")
    dialog.setWindowTitle(texts.REPORT_TITLE)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    about = QLabel(texts.REPORT_ABOUT)
    about.setTextFormat(Qt.TextFormat.PlainText)
    about.setWordWrap(True)
    report = QPlainTextEdit(text)
    report.setObjectName("report_text")
    report.setReadOnly(True)
    report.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    report.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    copy = QPushButton("Copy")
    copy.setObjectName("report_copy_button")
    copy.clicked.connect(lambda: QApplication.clipboard().setText(text))
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(about)
    layout.addWidget(report, 1)
    layout.addWidget(buttons)
    dialog.resize(720, 560)
    dialog.show()


def _qt_version() -> str:
    binding = getattr(qtpy, "PYQT_VERSION", None) or getattr(qtpy, "PYSIDE_VERSION", None)
    return f"{binding or 'of an unknown version'}, Qt {qtpy.QT_VERSION}"
