"""A queue with two lanes: what is urgent overtakes what is bulky."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Items of the urgent lane come first; within a lane the order is kept.

    `put` and `take` from any thread.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._urgent: deque[T] = deque()
        self._other: deque[T] = deque()
        self._closed = False

    def put(self, item: T, *, urgent: bool = True) -> None:
        """Add an item at the end of its lane; ignored after `close`."""
        with self._condition:
            if not self._closed:
                (self._urgent if urgent else self._other).append(item)
                self._condition.notify()

    def put_back(self, item: T) -> None:
        """Add an item at the beginning of the lane that is not urgent: there is more of it."""
        with self._condition:
            if not self._closed:
                self._other.appendleft(item)

    def close(self) -> None:
        """Drop all items; `take` returns None from now on."""
        with self._condition:
            self._closed = True
            self._urgent.clear()
            self._other.clear()
            self._condition.notify_all()

    def take(self) -> T | None:
        """The next item; waits for one. None after `close`."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._urgent or self._other)
            if self._closed:
                return None
            return (self._urgent or self._other).popleft()
