"""What the trainer says of itself once a second, whatever its loop is doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_msd.trainer.messages import Event, Progress
from napari_msd.trainer.starvation import Starvation
from napari_msd.trainer.wire import pack_event

BEAT_SECONDS = 1.0
"""From one heartbeat to the next; the viewer's `HangWatch` counts on it."""


class Outlet:
    """Sends events and heartbeats to the viewer, from any thread, one at a time.

    Parameters
    ----------
    update
        Sends data that JSON can hold.
    starvation
        Says whether the loop gets too little of the processor.
    """

    def __init__(self, update: Callable[[dict[str, Any]], None], starvation: Starvation) -> None:
        self._update = update
        self._starvation = starvation
        self._lock = threading.Lock()
        self._turns = 0
        self._progress: tuple[int, Progress] | None = None
        self._repeat = False

    def send(self, session: int, event: Event) -> None:
        """Send an event of a session."""
        with self._lock:
            if isinstance(event, Progress):
                if event.state == "training" and self._starvation.look():
                    event = replace(event, starved=True)
                self._progress = session, event
                self._repeat = False
            self._update({**pack_event(event), "session": session})

    def turn(self) -> None:
        """The loop begins another turn."""
        self._turns += 1

    def beat(self) -> None:
        """Send a heartbeat; and how training stands, if the loop is too slow to say so.

        To be called once in `BEAT_SECONDS`.
        """
        starved = self._starvation.look()
        with self._lock:
            self._update({"beat": [self._turns, time.process_time()]})
            if starved and self._progress is not None and self._repeat:
                session, progress = self._progress
                if progress.state == "training":
                    progress = replace(progress, starved=True)
                    self._update({**pack_event(progress), "session": session})
            self._repeat = True


def start_pulse(outlet: Outlet, over: threading.Event) -> threading.Thread:
    """Send heartbeats from a thread of their own until `over` is set."""

    def loop() -> None:
        outlet.beat()
        while not over.wait(BEAT_SECONDS):
            outlet.beat()

    thread = threading.Thread(target=loop, name="pulse", daemon=True)
    thread.start()
    return thread
