"""Keeps one trainer process going: starts it, watches it, replaces it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from napari_msd.trainer.child_process import TrainerProcess
from napari_msd.trainer.messages import Event, Notice, TrainerDied
from napari_msd.trainer.outbox import Action

MAX_DEATHS = 3
DEATHS_WITHIN = 60.0
"""A trainer that dies more than MAX_DEATHS times within so many seconds is left dead."""

TICK_SECONDS = 1.0
"""From one look at a trainer's heartbeats to the next."""

Requests = Iterable[tuple[str, dict[str, Any]]]


class Supervisor:
    """The trainer process in use, if there is one, and how often it died.

    All methods but `kill` and `close` are for the sender's thread.

    Parameters
    ----------
    hear
        Called with a process and what it sent, on a thread of the process.
    tell
        Takes the events about the process itself.
    post
        Puts an action into the sender's queue.
    left_dead
        Called when a trainer that keeps dying is not replaced.
    resuming
        All requests that bring a new process, with this overlay slot, to where the last was.
    tick_seconds
        See `TICK_SECONDS`.
    """

    def __init__(
        self,
        hear: Callable[[TrainerProcess, dict[str, Any]], None],
        tell: Callable[[Event], None],
        post: Callable[[Action], None],
        left_dead: Callable[[], None],
        resuming: Callable[[Any], Requests],
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._hear = hear
        self._tell = tell
        self._post = post
        self._left_dead = left_dead
        self._resuming = resuming
        self._tick_seconds = tick_seconds
        self._deaths: list[float] = []
        self._closed = threading.Event()
        self.process: TrainerProcess | None = None
        self.pid: int | None = None
        """The process's number, once it is `Ready` and while it lives."""
        threading.Thread(target=self._watch_loop, name="trainer-watch", daemon=True).start()

    def ensure(self) -> None:
        """Start a process if there is none."""
        if self.process is not None or self._closed.is_set():
            return
        process = TrainerProcess(
            lambda data: self._hear(process, data),
            lambda: self._post(lambda: self._bury(process)),
        )
        try:
            process.start()
        except OSError as error:
            process.end()
            self._tell(Notice("error", f"The trainer process could not be started: {error}"))
            return
        self.process = process
        if self._closed.is_set():
            process.kill()

    def revive(self) -> None:
        """The person asks for work: a trainer that was left dead gets another chance."""
        if self.process is None:
            self._deaths.clear()
            self.ensure()
            self._resume()

    def request(self, name: str, inputs: dict[str, Any]) -> bool:
        """Send to the living trainer; a dead one gets all of it when it is replaced."""
        if self.process is None:
            return False
        self.process.request(name, inputs)
        return True

    def ready(self, process: TrainerProcess, pid: int) -> None:
        """A process said its number; from any thread."""
        if process is self.process:
            self.pid = pid

    def kill(self) -> None:
        """Kill the process and watch it no longer; from any thread."""
        self._closed.set()
        process = self.process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """Give back all that the process took."""
        process, self.process, self.pid = self.process, None, None
        if process is not None:
            process.end()

    def _bury(self, process: TrainerProcess) -> None:
        """The trainer died unasked: say so, and put a new one in its place."""
        if process is not self.process or self._closed.is_set():
            return
        self.end()
        now = time.monotonic()
        self._deaths = [t for t in self._deaths if now - t < DEATHS_WITHIN] + [now]
        restarting = len(self._deaths) <= MAX_DEATHS
        what = (
            "a new one goes on from the last weights" if restarting else "press Live to try again"
        )
        if not restarting:
            self._left_dead()
        self._tell(TrainerDied(f"The trainer {process.what_happened}; {what}.", restarting))
        if restarting:
            self.ensure()
            self._resume()

    def _resume(self) -> None:
        """Bring a new process to where the dead one was."""
        if self.process is not None:
            for name, inputs in self._resuming(self.process.slot):
                self.process.request(name, inputs)

    def _watch_loop(self) -> None:
        """Own thread: the sender may be stuck in the pipe of a process that hangs."""
        while not self._closed.wait(self._tick_seconds):
            process = self.process
            if process is not None:
                process.tick()
