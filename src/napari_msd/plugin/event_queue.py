"""Calls functions from other threads on the Qt thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal

if TYPE_CHECKING:
    from collections.abc import Callable


class EventQueue(QObject):
    """Calls functions in order from the event loop of the thread that created it."""

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._called.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call `function` soon; safe from any thread while this object exists."""
        self._called.emit(function)

    def _call(self, function: Callable[[], None]) -> None:
        function()
