"""Requests that wait for the trainer's loop, in the order in which they were sent."""

from __future__ import annotations

import threading
from collections import deque

from napari_msd.trainer.envelopes import RequestEnvelope


class Inbox:
    """A queue of requests; `put` from any thread, `take` from one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[RequestEnvelope] = deque()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no request will come any more."""
        return self._closed

    def put(self, envelope: RequestEnvelope) -> None:
        """Add a request."""
        with self._condition:
            self._waiting.append(envelope)
            self._condition.notify()

    def close(self) -> None:
        """No request will come any more; wakes whoever waits for one."""
        with self._condition:
            self._closed = True
            self._waiting.clear()
            self._condition.notify()

    def take(self, timeout: float) -> list[RequestEnvelope]:
        """All requests that wait; waits up to `timeout` seconds for the first."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed, timeout)
            waiting = list(self._waiting)
            self._waiting.clear()
            return waiting
