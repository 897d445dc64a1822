"""Key presses that a list or combo must pass on to the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent


def is_typed(event: QKeyEvent) -> bool:
    """Whether a key press is a printable character other than space; not Enter or an arrow.

    A focused list or combo would use it for a search. It must ignore the key instead, so that the
    viewer receives it.
    """
    text = event.text()
    return bool(text) and text.isprintable() and not text.isspace()
