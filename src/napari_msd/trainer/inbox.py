"""Requests that wait for the trainer's loop, in the order in which they were sent.

Each request arrives as an appose task in a thread of its own, so two of them may
arrive in the wrong order: they carry numbers, and the inbox restores the order.
This module is light, so that requests can arrive while torch is still loading.
"""

from __future__ import annotations

import threading
from typing import Any

from napari_msd.trainer.sharing import fetched

Request = tuple[str, dict[str, Any]]


class Inbox:
    """An ordered queue of requests; `put` from any thread, `take` from one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._early: dict[int, Request] = {}
        self._next = 0

    def put(self, number: int, name: str, inputs: dict[str, Any]) -> None:
        """Add request `number` (0, 1, 2, ... without gaps)."""
        with self._condition:
            self._early[number] = (name, inputs)
            self._condition.notify()

    def take(self, timeout: float) -> list[Request]:
        """All requests whose turn has come; waits up to `timeout` seconds for the first."""
        with self._condition:
            self._condition.wait_for(lambda: self._next in self._early, timeout)
            due = []
            while self._next in self._early:
                due.append(self._early.pop(self._next))
                self._next += 1
            return due


INBOX = Inbox()


def receive(number: int, name: str, inputs: dict[str, Any]) -> None:
    """Entry of an inbound appose task.

    A plane's pixels are copied out of shared memory here, so that the viewer may
    free it as soon as this task is complete.
    """
    if "pixels" in inputs:
        try:
            inputs["pixels"] = fetched(inputs["pixels"])
        except (OSError, MemoryError) as error:  # a number must not be missing from the inbox
            why = str(error) or "there is too little memory"
            name, inputs = "plane_unreadable", {"plane": inputs["plane"], "how": "sent", "why": why}
    INBOX.put(number, name, inputs)
