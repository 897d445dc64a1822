"""Key presses that a list or a combo must not keep for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent


def is_typed(event: QKeyEvent) -> bool:
    """Whether a key press is a letter, digit or sign, and not space, Enter or an arrow.

    A list or combo that has the focus would take it as a search. It has to ignore the key
    instead: then the viewer gets it.
    """
    text = event.text()
    return bool(text) and text.isprintable() and not text.isspace()
