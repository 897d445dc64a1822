"""Telling a listener of events on a thread of its own, so that a slow one holds nothing up."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from napari_msd.trainer.messages import Event

Told = tuple[int, Event]
"""The number of a session, and an event of it."""


class Teller:
    """A queue of events for one listener.

    Parameters
    ----------
    listener
        Called with the session's number and the event, one at a time. What it raises
        goes to the log.
    """

    def __init__(self, listener: Callable[[int, Event], None]) -> None:
        self._listener = listener
        self._events: queue.SimpleQueue[Callable[[], Told | None] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="trainer-teller", daemon=True)
        self._thread.start()

    def tell(self, session: int, event: Event) -> None:
        """Tell an event after all that were given before."""
        self._events.put(lambda: (session, event))

    def tell_late(self, make: Callable[[], Told | None]) -> None:
        """The same for an event that is made when its turn comes; None is nothing to tell."""
        self._events.put(make)

    def close(self, seconds: float) -> None:
        """Tell nothing more; waits for so long for the listener to return."""
        self._closed = True
        self._events.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _loop(self) -> None:
        while (make := self._events.get()) is not None:
            try:
                told = None if self._closed else make()
                if told is not None and not self._closed:
                    self._listener(*told)
            except Exception:
                logging.getLogger(__name__).exception("An event of the trainer was lost")
