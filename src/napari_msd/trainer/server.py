"""The trainer's end: one loop that acts on requests, trains and predicts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.trainer.engine import Engine
from napari_msd.trainer.envelopes import EventEnvelope, Gate
from napari_msd.trainer.error_text import sentence_of
from napari_msd.trainer.events import Event, Notice
from napari_msd.trainer.heartbeat import Outlet, start_heartbeats
from napari_msd.trainer.inbox import Inbox
from napari_msd.trainer.requests import Open
from napari_msd.trainer.starvation import Starvation
from napari_msd.training import Trainer

IDLE_WAIT = 0.5
"""Seconds to wait for a request when there is nothing to do, before looking round again."""


def serve(send: Callable[[EventEnvelope], None], inbox: Inbox, session: int) -> None:
    """Serve until the inbox is closed.

    Parameters
    ----------
    send
        Takes events, from any thread.
    inbox
        Where requests arrive.
    session
        For the stamps, see `Stamp`.
    """
    starvation = Starvation()
    outlet = Outlet(send, starvation, session)
    gate = Gate(session)

    def emit(event: Event) -> None:
        outlet.send(gate.epoch, event)

    engine = Engine(emit)
    engine.announce_device()
    over = threading.Event()
    start_heartbeats(outlet, over)
    busy = False
    try:
        while not inbox.closed:
            outlet.turn()
            for envelope in inbox.take(timeout=0.0 if busy else IDLE_WAIT):
                if not gate.accepts(envelope.stamp):
                    continue
                with errors_reported(emit, engine):
                    if isinstance(envelope.request, Open):
                        gate.epoch = envelope.stamp.epoch
                    engine.handle(envelope.request)
            starvation.working(engine.computes_on_cpu)
            busy = False
            with errors_reported(emit, engine):
                busy = engine.work()
            if not busy:
                starvation.working(False)
    finally:
        over.set()


def warm_up() -> None:
    """Learn two steps on noise: torch and the cores load what they need before it is urgent."""
    noise = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    trainer = Trainer(Settings.from_preset(depth=2, patch_size=16), NetworkInput())
    trainer.set_pixels(Box.whole(0, noise.shape), noise)
    trainer.paint(Box.whole(0, noise.shape), np.where(noise > 0, 2, 1).astype(np.uint8))
    for _ in range(2):
        trainer.step()
    trainer.measure()


class errors_reported:  # noqa: N801 -- reads as a phrase in a with statement
    """Turns our own errors into a notice for the person, and ends the work in hand.

    Anything else is a mistake of ours: the trainer ends with it, the viewer says
    so and starts a new one from the last weights.
    """

    def __init__(self, emit: Callable[[Event], None], engine: Engine) -> None:
        self._emit = emit
        self._engine = engine

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        sentence = sentence_of(error) if error is not None else ""
        if not sentence:
            return False
        self._engine.end_work()
        self._emit(Notice("error", sentence))
        return True
