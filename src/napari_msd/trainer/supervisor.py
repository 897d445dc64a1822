"""Keeps one trainer going: starts it, watches it, replaces it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import count

from napari_msd.trainer.envelopes import EventEnvelope, Gate, RequestEnvelope, Stamp
from napari_msd.trainer.events import Event, Notice, TrainerDied
from napari_msd.trainer.host import Host, Launch
from napari_msd.trainer.requests import Request
from napari_msd.trainer.send_queue import Action

MAX_DEATHS = 3
DEATHS_WITHIN = 60.0
"""A trainer that dies more than MAX_DEATHS times within so many seconds is not replaced."""

TICK_SECONDS = 1.0
"""From one look at a trainer's heartbeats to the next."""

Addressed = tuple[int, Request]
"""An epoch, and a request of it."""


class Supervisor:
    """The trainer in use, if there is one, and how often it died.

    All methods but `kill` are for the sender's thread.

    Parameters
    ----------
    launch
        Makes a trainer's host.
    gate
        Follows the trainer's session.
    on_event
        Called with what a trainer sent, on a thread of its host.
    report
        Takes the events about the trainer itself.
    post
        Puts an action into the sender's queue.
    on_given_up
        Called when a trainer that keeps dying is not replaced.
    resuming
        All requests that bring a new trainer to where the last was.
    tick_seconds
        See `TICK_SECONDS`.
    """

    def __init__(
        self,
        launch: Launch,
        gate: Gate,
        on_event: Callable[[EventEnvelope], None],
        report: Callable[[Event], None],
        post: Callable[[Action], None],
        on_given_up: Callable[[], None],
        resuming: Callable[[], Iterable[Addressed]],
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._launch = launch
        self._gate = gate
        self._on_event = on_event
        self._report = report
        self._post = post
        self._on_given_up = on_given_up
        self._resuming = resuming
        self._tick_seconds = tick_seconds
        self._deaths: list[float] = []
        self._closed = threading.Event()
        self._sequence = count(1)
        self.host: Host | None = None
        self.pid: int | None = None
        """Number of the trainer's process, once it is `Ready` and while it lives."""
        threading.Thread(target=self._watch_loop, name="trainer-watch", daemon=True).start()

    @property
    def session(self) -> int:
        """Number of the trainer in use, or of the last one; 0 before the first."""
        return self._gate.session

    def ensure(self) -> None:
        """Start a trainer if there is none."""
        if self.host is not None or self._closed.is_set():
            return
        self._gate.renew(self.session + 1)
        self._sequence = count(1)
        host = self._launch(
            self.session, self._on_event, lambda: self._post(lambda: self._replace(host))
        )
        try:
            host.start()
        except OSError as error:
            host.end()
            self._report(Notice("error", f"The trainer process could not be started: {error}"))
            return
        self.host = host
        if self._closed.is_set():
            host.kill()

    def ensure_resumed(self) -> None:
        """The person asks for work: a trainer that was given up gets another chance."""
        if self.host is None:
            self._deaths.clear()
            self.ensure()
            self._resume()

    def request(self, epoch: int, request: Request) -> bool:
        """Send to the living trainer; a dead one gets all of it when it is replaced."""
        if self.host is None:
            return False
        stamp = Stamp(self.session, epoch, next(self._sequence))
        self.host.send(RequestEnvelope(stamp, request))
        return True

    def kill(self) -> None:
        """Kill the trainer and watch it no longer; from any thread."""
        self._closed.set()
        host = self.host
        if host is not None:
            host.kill()

    def end(self) -> None:
        """Give back all that the trainer took."""
        host, self.host, self.pid = self.host, None, None
        if host is not None:
            host.end()

    def _replace(self, host: Host) -> None:
        """The trainer died unasked: say so, and put a new one in its place."""
        if host is not self.host or self._closed.is_set():
            return
        self.end()
        now = time.monotonic()
        self._deaths = [t for t in self._deaths if now - t < DEATHS_WITHIN] + [now]
        restarting = len(self._deaths) <= MAX_DEATHS
        what = (
            "a new one goes on from the last weights" if restarting else "press Live to try again"
        )
        if not restarting:
            self._on_given_up()
        self._report(TrainerDied(f"The trainer {host.what_happened}; {what}.", restarting))
        if restarting:
            self.ensure()
            self._resume()

    def _resume(self) -> None:
        """Bring a new trainer to where the last one was."""
        for epoch, request in self._resuming():
            self.request(epoch, request)

    def _watch_loop(self) -> None:
        """Own thread: the sender may be stuck in the pipe of a trainer that hangs."""
        while not self._closed.wait(self._tick_seconds):
            host = self.host
            if host is not None:
                host.tick()
