"""The status label: one sentence that says what to do next, or what went wrong.

The sentence is a notice, else advice, else the next step. A notice stays until the user acts or a
newer one arrives; advice stays as long as it applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_msd.widgets.plain_text import shortened
from napari_msd.widgets.theme import GOOD, IDLE
from napari_msd.widgets.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette

_ADVICE = "warning"
_LEVELS = ("info", "warning", "error")
_LINES = 3
"""Room for most sentences, so that what lies below stays in its place."""
_MAX_LENGTH = 400
"""Maximum characters of a notice; names from a file may be long and numerous."""


class StatusLabel(WrappedLabel):
    """Shows notice, advice or hint; the bar at its side has the level's colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(lines=_LINES, parent=parent)
        self.setObjectName("status_label")
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._palette: Palette | None = None
        self._level = "hint"
        self._notice = self._advice = self._hint = ""

    @property
    def level(self) -> str:
        """``hint``, ``info``, ``warning`` or ``error``."""
        return self._level if self._notice else _ADVICE if self._advice else "hint"

    @property
    def sentence(self) -> str:
        """The notice, else the advice, else the hint."""
        return self._notice or self._advice or self._hint

    def notify(self, level: str, text: str) -> None:
        """Show a sentence until the user acts or another one arrives."""
        self._notice = shortened(text, _MAX_LENGTH)
        self._level = level if level in _LEVELS else "info"
        self._show()

    def dismiss(self) -> None:
        """Remove the notice, because the user acted."""
        if self._notice:
            self._notice, self._level = "", "hint"
            self._show()

    def dismiss_info(self) -> None:
        """Remove an info notice, because the user painted; warnings and errors stay."""
        if self._level == "info":
            self.dismiss()

    def retract(self, text: str) -> None:
        """Remove this sentence, because it no longer applies; another one stays."""
        if text and self._notice == shortened(text, _MAX_LENGTH):
            self.dismiss()

    def set_advice(self, text: str) -> None:
        """Show advice as long as it applies; empty for none."""
        if text != self._advice:
            self._advice = text
            self._show()

    def set_hint(self, text: str) -> None:
        """Set the next step, shown while there is no notice and no advice."""
        if text != self._hint:
            self._hint = text
            self._show()

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._palette = colors
        self._show()

    def _show(self) -> None:
        self.setText(self.sentence)
        if self._palette is None:
            return
        p = self._palette
        bar = {"info": IDLE, "warning": p.warning, "error": p.error}.get(self.level, GOOD)
        style = (
            f"QLabel {{ background: {p.foreground}; color: {p.text}; padding: 5px 6px;"
            f" border-left: 3px solid {bar}; border-radius: 2px; }}"
        )
        if style != self.styleSheet():
            self.setStyleSheet(style)
