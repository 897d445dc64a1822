"""A trainer in this very process, for scripts and tests: the same engine on a thread.

Imports torch, so the viewer's side must not import this. What fails badly here takes the program
with it; a thread that hangs cannot be ended.
"""

from __future__ import annotations

import logging
import threading

from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.envelopes import EventEnvelope, RequestEnvelope
from napari_msd.trainer.events import Heartbeat
from napari_msd.trainer.host import OnDeath, OnEnvelope
from napari_msd.trainer.inbox import Inbox
from napari_msd.trainer.protocol import OnEvent
from napari_msd.trainer.server import serve

END_SECONDS = 2.0
"""How long `TrainerThread.end` waits for a step in progress."""


class TrainerThread:
    """A host that is a thread; see `napari_msd.trainer.host.Host`."""

    def __init__(self, session: int, on_event: OnEnvelope, on_death: OnDeath) -> None:
        self._session = session
        self._on_event = on_event
        self._on_death = on_death
        self.inbox = Inbox()
        self._thread = threading.Thread(target=self._loop, name="trainer-loop", daemon=True)

    def start(self) -> None:
        """Launch it."""
        self._thread.start()

    def send(self, envelope: RequestEnvelope) -> None:
        """Send a request; its arrays are shared, not copied."""
        self.inbox.put(envelope)

    def tick(self) -> None:
        """Nothing: a thread that hangs cannot be ended."""

    @property
    def what_happened(self) -> str:
        """Why it died, as the rest of a sentence about the trainer."""
        return "stopped unexpectedly"

    def kill(self) -> None:
        """Let it end after the unit of work in hand."""
        self.inbox.close()

    def end(self) -> None:
        """Kill it and wait for it, but not for ever."""
        self.kill()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(END_SECONDS)

    def _loop(self) -> None:
        try:
            serve(self._pass_on, self.inbox, self._session)
        except Exception:
            logging.getLogger(__name__).warning("The trainer ended", exc_info=True)
            if not self.inbox.closed:
                self._on_death()

    def _pass_on(self, envelope: EventEnvelope) -> None:
        if not self.inbox.closed and not isinstance(envelope.event, Heartbeat):
            self._on_event(envelope)


class InProcessTrainer(TrainerClient):
    """The `Trainer` without a process of its own.

    Parameters
    ----------
    on_event
        See `OnEvent`.
    """

    def __init__(self, on_event: OnEvent) -> None:
        super().__init__(on_event, launch=TrainerThread)
