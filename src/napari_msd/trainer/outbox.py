"""What is to be done for the trainer, in order, on a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

Action = Callable[[], None]


class Outbox:
    """A queue of actions. One that fails is reported; the next ones are done all the same.

    Parameters
    ----------
    on_error
        Called with what an action raised, on the outbox's thread.
    last
        Done at the very end, after `close`.
    """

    def __init__(self, on_error: Callable[[Exception], None], last: Action) -> None:
        self._on_error = on_error
        self._last = last
        self._actions: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="trainer-sender", daemon=True)
        self._thread.start()

    def put(self, action: Action) -> None:
        """Do this after all that was put before."""
        self._actions.put(action)

    def close(self) -> None:
        """Skip what is left but for the last action."""
        self._closed = True
        self._actions.put(None)

    def join(self, seconds: float) -> None:
        """Wait for so long for the end."""
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _loop(self) -> None:
        while (action := self._actions.get()) is not None:
            if not self._closed:
                self._do(action)
        self._do(self._last)

    def _do(self, action: Action) -> None:
        try:
            action()
        except Exception as error:
            logging.getLogger(__name__).exception("The trainer could not be reached")
            if self._closed:
                return
            try:
                self._on_error(error)
            except Exception:
                logging.getLogger(__name__).exception("Nor could that be reported")
