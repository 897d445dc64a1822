"""The panel's one menu: what is needed rarely.

A popover with real controls, which exist (and can be pressed by a script) while it is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QAction, QKeyEvent
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_msd.core.settings import DEVICE_CHOICES, PRESETS
from napari_msd.widgets.keys import is_typed
from napari_msd.widgets.parts import button, combo, heading, line, spin_box
from napari_msd.widgets.plain_text import plain_action
from napari_msd.widgets.texts import KEYS
from napari_msd.widgets.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette


class Menu(QFrame):
    """Network, session and help; opens below the button that it belongs to.

    `open_session_action`, `save_session_as_action`, `sessions_action` and `report_action` are
    actions: whoever carries them out connects `triggered`. They are disabled until then.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("menu")
        self.setAccessibleName("More")
        self.preset_combo = combo("preset_combo", tuple(PRESETS))
        self.context_spin = spin_box("context_spin", 1, 10)
        self._context_label = QLabel("Neighbours")
        self.device_combo = combo("device_combo", DEVICE_CHOICES)
        self.device_text = WrappedLabel()
        self.device_text.setObjectName("device_text")
        self.device_text.setVisible(False)
        self.update_once_button = button("update_once_button", "Update once")
        self.history_button = button("history_button", "History …")
        self.save_model_button = button("save_model_button", "Save model …")
        self.load_model_button = button("load_model_button", "Start from model …")
        self.start_over_button = button("start_over_button", "Start over")
        self.segment_file_button = button("segment_file_button", "Segment all to file …")
        self.open_session_action = self._action("open_session", "Open session …")
        self.save_session_as_action = self._action("save_session_as", "Save session as …")
        self.sessions_action = self._action("sessions", "Sessions …")
        self.report_action = self._action("report", "Report a problem …")
        keys = QLabel(KEYS)
        keys.setObjectName("keys_text")
        self._compose(keys)

    def show_context(self, context: int | None) -> None:
        """Show how many slices on each side are seen in 2.5-D; ``None`` in other modes."""
        for widget in (self._context_label, self.context_spin):
            widget.setVisible(context is not None)
        if context is not None:
            with signals_blocked(self.context_spin):
                self.context_spin.setValue(context)

    def show_device(self, text: str, tip: str) -> None:
        """Say which device is in use, and why; empty as long as it is not known."""
        self.device_text.setText(text)
        self.device_text.setToolTip(tip)
        self.device_text.setVisible(bool(text))

    def open_below(self, anchor: QWidget) -> None:
        """Open below `anchor`, right edges aligned, moved to be on its screen."""
        self.adjustSize()
        corner = anchor.mapToGlobal(anchor.rect().bottomRight())
        where = QPoint(corner.x() - self.width() + 1, corner.y() + 3)
        if (screen := anchor.screen()) is not None:
            free = screen.availableGeometry()
            where.setX(max(free.left(), min(where.x(), free.right() - self.width())))
            where.setY(max(free.top(), min(where.y(), free.bottom() - self.height())))
        self.move(where)
        self.show()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Arrows move the focus; a letter or digit closes the menu and goes to the viewer."""
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.focusNextPrevChild(event.key() == Qt.Key.Key_Down)
        elif event.key() == Qt.Key.Key_Escape:
            self.hide()
        elif is_typed(event) and self.parentWidget() is not None:
            self.hide()
            QApplication.sendEvent(self.parentWidget(), event)
        else:
            super().keyPressEvent(event)

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.setStyleSheet(
            f"QFrame#menu {{ background: {colors.background};"
            f" border: 1px solid {colors.highlight}; border-radius: 4px; }}"
            "QPushButton { background: transparent; border: none; text-align: left;"
            " padding: 3px 8px; }"
            f"QPushButton:hover, QPushButton:focus {{ background: {colors.highlight}; }}"
            f"QPushButton:disabled {{ color: {colors.faint}; background: transparent;"
            " border: none; }"
            f"QLabel#keys_text {{ color: {colors.muted}; padding: 0 8px; }}"
            f"QLabel#msd_heading {{ color: {colors.muted}; font-weight: bold; padding: 0 8px; }}"
        )

    # --- composition ---------------------------------------------------------------------

    def _action(self, name: str, text: str) -> QAction:
        action = QAction(text, self)
        action.setObjectName(f"{name}_action")
        action.setEnabled(False)
        return action

    def _compose(self, keys: QLabel) -> None:
        choices = QGridLayout()
        choices.setContentsMargins(8, 0, 8, 0)
        choices.setVerticalSpacing(3)
        choices.setColumnStretch(1, 1)
        choices.addWidget(QLabel("Preset"), 0, 0)
        choices.addWidget(self.preset_combo, 0, 1)
        choices.addWidget(self._context_label, 1, 0)
        choices.addWidget(self.context_spin, 1, 1)
        choices.addWidget(QLabel("Device"), 2, 0)
        choices.addWidget(self.device_combo, 2, 1)
        choices.addWidget(self.device_text, 3, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 8, 4, 8)
        column.setSpacing(1)
        column.addWidget(heading("Network"))
        column.addLayout(choices)
        for made in (
            self.update_once_button,
            self.history_button,
            self.load_model_button,
            self.save_model_button,
            self.start_over_button,
        ):
            made.clicked.connect(self.hide)
            column.addWidget(made)
        column.addWidget(line())
        column.addWidget(heading("Result"))
        self.segment_file_button.clicked.connect(self.hide)
        column.addWidget(self.segment_file_button)
        column.addWidget(line())
        column.addWidget(heading("Session"))
        for action in (
            self.open_session_action,
            self.save_session_as_action,
            self.sessions_action,
        ):
            column.addWidget(self._item(action))
        column.addWidget(line())
        column.addWidget(self._item(self.report_action))
        column.addWidget(line())
        column.addWidget(heading("Keys"))
        column.addWidget(keys)
        self.setMinimumWidth(240)

    def _item(self, action: QAction) -> QPushButton:
        """A button that shows an action and triggers it."""
        made = QPushButton(self)
        made.setObjectName(action.objectName().replace("_action", "_button"))

        def follow() -> None:
            made.setText(plain_action(action.text()))
            made.setToolTip(action.toolTip() if action.toolTip() != action.text() else "")
            made.setEnabled(action.isEnabled())
            made.setVisible(action.isVisible())

        def press(checked: Any = False) -> None:
            self.hide()
            action.trigger()

        action.changed.connect(follow)
        made.clicked.connect(press)
        follow()
        return made
