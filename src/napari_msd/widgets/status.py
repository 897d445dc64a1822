"""One place for every word to the person: what to do next, what went wrong, how it stands.

The first line is a sentence (a notice, else advice, else the next step), the second the
figures. A notice stays until the person acts or a newer one comes, advice for as long as
what it tells of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_msd.widgets.plain_text import shortened
from napari_msd.widgets.theme import GOOD, IDLE

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette

_ADVICE = "warning"
_LEVELS = ("info", "warning", "error")
_LONGEST = 400
"""Characters of a notice; names from a file may be long, and many."""


class StatusLabel(QLabel):
    """Notice, advice or hint, and figures; the bar at its side has the level's colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status_label")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._palette: Palette | None = None
        self._level = "hint"
        self._notice = self._advice = self._hint = self._figures = ""

    @property
    def level(self) -> str:
        """``hint``, ``info``, ``warning`` or ``error``."""
        return self._level if self._notice else _ADVICE if self._advice else "hint"

    @property
    def sentence(self) -> str:
        """The notice, else the advice, else the hint."""
        return self._notice or self._advice or self._hint

    def notify(self, level: str, text: str) -> None:
        """Show a sentence until the person acts or another one comes."""
        self._notice = shortened(text, _LONGEST)
        self._level = level if level in _LEVELS else "info"
        self._show()

    def dismiss(self) -> None:
        """The person acted: what was said is past."""
        if self._notice:
            self._notice, self._level = "", "hint"
            self._show()

    def dismiss_info(self) -> None:
        """The person painted: what was only told is past, a warning is not."""
        if self._level == "info":
            self.dismiss()

    def retract(self, text: str) -> None:
        """Take back a sentence that is true no longer; another one stays."""
        if text and self._notice == shortened(text, _LONGEST):
            self.dismiss()

    def set_advice(self, text: str) -> None:
        """What should be noticed for as long as it is so; empty for nothing."""
        if text != self._advice:
            self._advice = text
            self._show()

    def set_hint(self, text: str) -> None:
        """The next step, shown while there is nothing else to say."""
        if text != self._hint:
            self._hint = text
            self._show()

    def set_figures(self, text: str) -> None:
        """How it stands, in one line."""
        if text != self._figures:
            self._figures = text
            self._show()

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._palette = colors
        self._show()

    def _show(self) -> None:
        self.setText("\n".join(filter(None, (self.sentence, self._figures))))
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
