"""Whether the trainer gets too little of the processor to be of use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SPAN_SECONDS = 3.0
"""Over how long the share is measured."""

LEAST_SHARE = 0.1
"""Of one core; work that gets less is starved."""


class Starvation:
    """Compares the processor time that work got with the time that passed.

    The trainer's loop computes all the time while it works, so the quotient is its share
    of a core.

    Parameters
    ----------
    wall, cpu
        Clocks in seconds: the time, and the processor time that this process has used.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._wall = wall
        self._cpu = cpu
        self._lock = threading.Lock()  # worked on one thread, looked at on another
        self._since: tuple[float, float] | None = None
        self._starved = False

    def working(self, on: bool) -> None:
        """The loop works from now on, or waits for something."""
        with self._lock:
            if not on:
                self._since, self._starved = None, False
            elif self._since is None:
                self._since = self._wall(), self._cpu()

    def look(self) -> bool:
        """Whether the work of the last few seconds got too little."""
        with self._lock:
            if self._since is None:
                return False
            wall, cpu = self._wall(), self._cpu()
            passed = wall - self._since[0]
            if passed >= SPAN_SECONDS:
                self._starved = cpu - self._since[1] < LEAST_SHARE * passed
                self._since = wall, cpu
            return self._starved
