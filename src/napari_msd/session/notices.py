"""Sentences that a session shows to the user."""

from __future__ import annotations

import logging

from psygnal import Signal

_log = logging.getLogger(__name__)
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notices:
    """Sentences for the status line."""

    notice = Signal(str, str)
    """Level (``info``, ``warning`` or ``error``) and sentence."""
    past = Signal(str)
    """A sentence that no longer applies."""
    acted = Signal()
    """The user did something: earlier notices no longer apply."""

    def __init__(self) -> None:
        self.notice.connect(_write_to_log)

    def info(self, text: str) -> None:
        """Report what happened."""
        self.notice.emit("info", text)

    def warn(self, text: str) -> None:
        """Report what needs the user's attention."""
        self.notice.emit("warning", text)

    def error(self, text: str) -> None:
        """Report what could not be done."""
        self.notice.emit("error", text)


def _write_to_log(level: str, text: str) -> None:
    _log.log(_LEVELS.get(level, logging.INFO), "%s", text)
