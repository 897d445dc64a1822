"""What a session says to the person."""

from __future__ import annotations

from psygnal import Signal


class Notices:
    """Sentences for the status line."""

    notice = Signal(str, str)
    """Level (``info``, ``warning`` or ``error``) and sentence."""
    past = Signal(str)
    """A sentence that is true no longer."""
    acted = Signal()
    """The person did something: what was said before is past."""

    def info(self, text: str) -> None:
        """Say what happened."""
        self.notice.emit("info", text)

    def warn(self, text: str) -> None:
        """Say what the person should look at."""
        self.notice.emit("warning", text)

    def error(self, text: str) -> None:
        """Say what could not be done."""
        self.notice.emit("error", text)
