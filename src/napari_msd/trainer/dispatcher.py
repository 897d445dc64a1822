"""Calling a listener of events on a thread of its own, so that a slow one holds nothing up."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from napari_msd.trainer.events import Event
from napari_msd.trainer.protocol import OnEvent

Delivery = tuple[int, Event]
"""An epoch, and an event of it."""


class EventDispatcher:
    """A queue of events for one listener.

    Parameters
    ----------
    listener
        Called with one event at a time. What it raises goes to the log.
    """

    def __init__(self, listener: OnEvent) -> None:
        self._listener = listener
        self._events: queue.SimpleQueue[Callable[[], Delivery | None] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="trainer-dispatcher", daemon=True)
        self._thread.start()

    def dispatch(self, epoch: int, event: Event) -> None:
        """Deliver an event after all that were given before."""
        self._events.put(lambda: (epoch, event))

    def dispatch_late(self, make: Callable[[], Delivery | None]) -> None:
        """The same for an event that is made when its turn comes; None is none."""
        self._events.put(make)

    def close(self, seconds: float) -> None:
        """Deliver nothing more; waits for so long for the listener to return."""
        self._closed = True
        self._events.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _loop(self) -> None:
        while (make := self._events.get()) is not None:
            try:
                delivery = None if self._closed else make()
                if delivery is not None and not self._closed:
                    self._listener(*delivery)
            except Exception:
                logging.getLogger(__name__).exception("An event of the trainer was lost")
