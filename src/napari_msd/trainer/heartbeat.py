"""How events leave the trainer, and what it says of itself once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count

import msgspec

from napari_msd.trainer.envelopes import NO_EPOCH, EventEnvelope, Stamp
from napari_msd.trainer.events import Event, Heartbeat, Progress, Ready
from napari_msd.trainer.starvation import Starvation

BEAT_SECONDS = 1.0
"""From one heartbeat to the next; the viewer's `HangWatch` counts on it."""


class Outlet:
    """Stamps events and heartbeats and sends them, from any thread, one at a time.

    Parameters
    ----------
    send
        Takes them.
    starvation
        Says whether the loop gets too little of the processor.
    session
        For the stamps.
    """

    def __init__(
        self, send: Callable[[EventEnvelope], None], starvation: Starvation, session: int
    ) -> None:
        self._send = send
        self._starvation = starvation
        self._session = session
        self._sequence = count(1)
        self._lock = threading.Lock()
        self._turns = 0
        self._progress: tuple[int, Progress] | None = None
        self._repeat = False

    def send(self, epoch: int, event: Event) -> None:
        """Send an event of an epoch."""
        with self._lock:
            if isinstance(event, Progress):
                if event.state == "training" and self._starvation.look():
                    event = msgspec.structs.replace(event, starved=True)
                self._progress = epoch, event
                self._repeat = False
            self._stamped(NO_EPOCH if isinstance(event, Ready) else epoch, event)

    def turn(self) -> None:
        """The loop begins another turn."""
        self._turns += 1

    def beat(self) -> None:
        """Send a heartbeat; and how training stands, if the loop is too slow to say so.

        To be called once in `BEAT_SECONDS`.
        """
        starved = self._starvation.look()
        with self._lock:
            self._stamped(NO_EPOCH, Heartbeat(self._turns, time.process_time()))
            if starved and self._progress is not None and self._repeat:
                epoch, progress = self._progress
                if progress.state == "training":
                    self._stamped(epoch, msgspec.structs.replace(progress, starved=True))
            self._repeat = True

    def _stamped(self, epoch: int, event: Event) -> None:
        self._send(EventEnvelope(Stamp(self._session, epoch, next(self._sequence)), event))


def start_heartbeats(outlet: Outlet, over: threading.Event) -> threading.Thread:
    """Send heartbeats from a thread of their own until `over` is set."""

    def loop() -> None:
        outlet.beat()
        while not over.wait(BEAT_SECONDS):
            outlet.beat()

    thread = threading.Thread(target=loop, name="heartbeats", daemon=True)
    thread.start()
    return thread
