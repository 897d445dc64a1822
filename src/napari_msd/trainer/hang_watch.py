"""Telling a trainer that hangs from one that is busy."""

from __future__ import annotations

import threading

SILENT_TICKS = 10
"""Ticks (seconds) without a heartbeat after which a trainer is taken to hang."""

START_TICKS = 300
"""The same before the first heartbeat: loading PyTorch from a slow disk can take minutes."""

STUCK_TICKS = 30
"""Ticks in one turn of the trainer's loop that used next to no processor time."""

STUCK_CPU_SECONDS = 0.15
"""How little that is, in all `STUCK_TICKS`: twice what the process needs at rest."""


class HangWatch:
    """Judges one trainer process by its heartbeats.

    Ticks are counted, not seconds: while the machine is suspended neither process runs,
    and the clock would blame the trainer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # heartbeats and ticks come from two threads
        self._silent = 0
        self._limit = START_TICKS
        self._turn: int | None = None
        self._cpu = self._cpu_then = 0.0
        self._stuck = 0

    def beat(self, turn: int, cpu_seconds: float) -> None:
        """A heartbeat came.

        Parameters
        ----------
        turn
            How many turns the trainer's loop has begun. It turns at rest, too.
        cpu_seconds
            Processor time that the trainer's process has used so far.
        """
        with self._lock:
            self._silent = 0
            self._limit = SILENT_TICKS
            self._cpu = cpu_seconds
            if turn != self._turn or cpu_seconds - self._cpu_then > STUCK_CPU_SECONDS:
                self._turn = turn
                self._cpu_then = cpu_seconds
                self._stuck = 0

    def tick(self) -> str:
        """A second passed; returns what is wrong with the trainer, empty if nothing is."""
        with self._lock:
            self._silent += 1
            self._stuck += 1
            if self._silent >= self._limit:
                if self._limit == START_TICKS:
                    return "was not ready within five minutes"
                return "did not answer for ten seconds"
            if self._turn is not None and self._stuck >= STUCK_TICKS:
                return "stood still for half a minute"
            return ""
