"""The trainer's end of the process boundary: one loop that obeys requests, trains and predicts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.trainer.engine import TrainerLoop
from napari_msd.trainer.error_text import sentence_of
from napari_msd.trainer.heartbeat import Outlet, start_pulse
from napari_msd.trainer.inbox import INBOX, Inbox
from napari_msd.trainer.messages import Event, Notice
from napari_msd.trainer.process import be_polite
from napari_msd.trainer.starvation import Starvation
from napari_msd.training import Trainer

IDLE_WAIT = 0.5
"""Seconds to wait for a request when there is nothing to do, before looking round again."""


def serve(update: Callable[[dict[str, Any]], None], inbox: Inbox = INBOX) -> None:
    """Serve the viewer until it is gone: the one long appose task.

    Parameters
    ----------
    update
        Sends an event's data to the viewer.
    inbox
        Where requests arrive.
    """
    starvation = Starvation()
    outlet = Outlet(update, starvation)

    def emit(event: Event) -> None:
        outlet.send(loop.session, event)

    warm_up()
    be_polite()
    loop = TrainerLoop(emit)
    loop.introduce()
    over = threading.Event()
    start_pulse(outlet, over)
    viewer = threading.main_thread()  # ends when the viewer closes our stdin
    busy = False
    try:
        while viewer.is_alive():
            outlet.turn()
            for name, inputs in inbox.take(timeout=0.0 if busy else IDLE_WAIT):
                with told(emit, loop):
                    loop.obey(name, inputs)
            starvation.working(loop.computes_on_cpu)
            busy = False
            with told(emit, loop):
                busy = loop.work()
            if not busy:
                starvation.working(False)
    finally:
        over.set()


def warm_up() -> None:
    """Learn two steps on noise: torch and the cores load what they need before it is urgent."""
    noise = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    trainer = Trainer(Settings.from_preset(depth=2, patch_size=16), n_channels=1)
    trainer.set_pixels(Box.whole(0, noise.shape), noise)
    trainer.paint(Box.whole(0, noise.shape), np.where(noise > 0, 2, 1).astype(np.uint8))
    for _ in range(2):
        trainer.step()
    trainer.measure()


class told:  # noqa: N801 -- reads as a word in a with statement
    """Turns our own errors into a notice for the person, and rests the loop.

    Anything else is a mistake of ours: the process ends with it, the viewer says
    so and starts a new one from the last weights.
    """

    def __init__(self, emit: Callable[[Event], None], loop: TrainerLoop) -> None:
        self._emit = emit
        self._loop = loop

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        sentence = sentence_of(error) if error is not None else ""
        if not sentence:
            return False
        self._loop.rest()
        self._emit(Notice("error", sentence))
        return True
