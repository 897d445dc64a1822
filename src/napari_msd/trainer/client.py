"""A trainer in a process of its own, seen from the viewer's side.

Nothing here blocks the caller: requests are queued for a thread of `Connection`. Never
imports torch.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from napari_msd.core.box import Box, SourceId
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer.child_process import ChildProcess
from napari_msd.trainer.connection import Connection
from napari_msd.trainer.epoch_state import EpochState, stroke_requests
from napari_msd.trainer.events import Finished, Measured
from napari_msd.trainer.host import Launch
from napari_msd.trainer.protocol import OnEvent, ReadPixels
from napari_msd.trainer.requests import (
    Cancel,
    Measure,
    PredictAll,
    Refresh,
    Request,
    SetLive,
    SetUncertainty,
    SetView,
    ShowMe,
    UpdateOnce,
)
from napari_msd.trainer.supervisor import TICK_SECONDS


class TrainerClient:
    """The `Trainer` that a viewer uses; see there for what the methods mean.

    Parameters
    ----------
    on_event
        See `OnEvent`.
    launch
        Where the trainer runs: in a child process unless said otherwise.
    tick_seconds
        How often the trainer's heartbeats are looked at.
    """

    def __init__(
        self,
        on_event: OnEvent,
        *,
        launch: Launch = ChildProcess,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._connection = Connection(on_event, launch, tick_seconds)
        self._closing = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Launch the trainer. Answer: `Ready`."""
        self._connection.post(self._connection.trainer.ensure)

    def open(
        self,
        settings: Settings,
        spaces: Mapping[SourceId, Space],
        read: ReadPixels,
        model: bytes | None = None,
        *,
        fit_normalisation: bool = False,
    ) -> int:
        """Begin a new epoch; returns its number."""
        gate = self._connection.gate
        gate.epoch += 1
        state = EpochState(gate.epoch, settings, spaces, read, model, fit_normalisation)

        def do() -> None:
            self._connection.state = state
            self._connection.trainer.ensure()
            self._connection.request(state.opening())

        self._connection.post(do)
        return state.number

    def set_strokes(self, blocks: Sequence[Painted]) -> None:
        """Painted values changed in these boxes."""
        # The caller may reuse its array for the next stroke before ours is sent.
        blocks = [
            replace(block, values=np.array(block.values, np.uint8, copy=True)) for block in blocks
        ]

        def do() -> None:
            state = self._connection.state
            if state is None:
                return
            for block in blocks:
                state.strokes.write(block.box, block.values)
            for request in stroke_requests(blocks):
                self._connection.request(request)

        self._connection.post(do)

    def set_view(self, box: Box) -> None:
        """What is on screen."""

        def do() -> None:
            if self._connection.state is not None:
                self._connection.state.view = box
            self._connection.request(SetView(box))

        self._connection.post(do)

    def set_live(self, on: bool) -> None:
        """Train until switched off. Answer to off: ``Finished("stop")``."""
        epoch = self._connection.gate.epoch

        def do() -> None:
            if on:
                self._connection.trainer.ensure_resumed()
            if self._connection.state is not None:
                self._connection.state.live = on
            if not self._connection.request(SetLive(on)) and not on:
                self._connection.dispatcher.dispatch(epoch, Finished("stop"))

        self._connection.post(do)

    def update_once(self) -> None:
        """Train for a few seconds, refresh the view once. Answer: ``Finished("update")``."""
        self._work(UpdateOnce())

    def predict_all(self, boxes: Sequence[Box]) -> None:
        """Segment whole slabs with the kept weights. Answer: ``Finished("predict")``."""
        self._work(PredictAll(tuple(boxes)))

    def set_uncertainty(self, on: bool) -> None:
        """Send with every block from now on how uncertain it is, or no longer."""

        def do() -> None:
            if self._connection.state is not None:
                self._connection.state.uncertainty = on
            self._connection.request(SetUncertainty(on))

        self._connection.post(do)

    def refresh(self) -> None:
        """Predict the view with the kept weights."""
        self._ask(Refresh())

    def show_me(self) -> None:
        """Ask where labels would teach most. Answer: `LookHere` or a notice."""
        self._ask(ShowMe())

    def measure(self, models: Sequence[bytes], request: int = 0) -> None:
        """Compare models on the held-out strokes. Answer: `Measured`."""
        epoch = self._connection.gate.epoch
        question = Measure(tuple(models), request)

        def do() -> None:
            if not self._connection.request(question):
                unknown: dict[int, float | None] = dict.fromkeys(range(len(question.models)))
                self._connection.dispatcher.dispatch(epoch, Measured(unknown, request))

        self._connection.post(do)

    def cancel(self) -> None:
        """End whatever is under way. Answer: ``Finished("stop")``."""
        epoch = self._connection.gate.epoch

        def do() -> None:
            if self._connection.state is not None:
                self._connection.state.live = False
            if not self._connection.request(Cancel()):
                self._connection.dispatcher.dispatch(epoch, Finished("stop"))

        self._connection.post(do)

    def _ask(self, request: Request) -> None:
        def do() -> None:
            self._connection.request(request)

        self._connection.post(do)

    def _work(self, request: Request) -> None:
        def do() -> None:
            self._connection.trainer.ensure_resumed()
            self._connection.request(request)

        self._connection.post(do)

    @property
    def model(self) -> bytes | None:
        """Bytes of the model file with the newest kept weights."""
        state = self._connection.state
        return state.model if state is not None else None

    @property
    def pid(self) -> int | None:
        """The trainer's process number, once it is `Ready` and while it lives."""
        return self._connection.trainer.pid

    def close(self) -> None:
        """End the trainer. No event comes after it; returns within about a second."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._connection.close()
