"""The viewer's end of the process boundary: the trainer process, started, fed, watched and ended.

Nothing here blocks the caller: requests are queued for a thread of `Connection`. Never
imports torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from napari_msd.core.planes import PlaneKey, box_of
from napari_msd.core.settings import Settings
from napari_msd.trainer.connection import Connection
from napari_msd.trainer.messages import Event, Finished, Measured, StrokeBlock, View
from napari_msd.trainer.session_memory import ReadPlane, SessionMemory
from napari_msd.trainer.supervisor import TICK_SECONDS
from napari_msd.trainer.wire import pack_bytes, pack_strokes, pack_view


class TrainerClient:
    """A trainer in a process of its own, and everything needed to replace it.

    All methods return at once and never raise for a dead trainer. If the process
    dies or hangs, `TrainerDied` is told, and a new one is started with the session, the
    strokes, the view and the last kept weights, and trains on if it was Live.

    Parameters
    ----------
    on_event
        Called with the number of a session (see `open`) and an `Event` of it, on a
        background thread, one at a time. The number is 0 for events of no session. Those of
        a session that is no longer the newest may still come: drop them.
    tick_seconds
        How often the trainer's heartbeats are looked at.
    """

    def __init__(
        self, on_event: Callable[[int, Event], None], *, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self._connection = Connection(on_event, tick_seconds)
        self._closing = threading.Lock()
        self._closed = False

    # --- what the viewer asks for --------------------------------------------------------

    def start(self) -> None:
        """Launch the trainer process, so that it is warm when it is needed. Answer: `Ready`."""
        self._connection.post(self._connection.trainer.ensure)

    def open(
        self,
        settings: Settings,
        plane_shape: tuple[int, int],
        n_channels: int,
        read_plane: ReadPlane,
        model: bytes | None = None,
        *,
        fit_normalisation: bool = False,
    ) -> int:
        """Begin, or replace, the session; returns its number, 1 or more.

        Earlier strokes are forgotten: send them again.

        Parameters
        ----------
        settings
            Network and training.
        plane_shape
            (Y, X) of every plane.
        n_channels
            Channels of every plane.
        read_plane
            Gives a plane's pixels, (Y, X) or (Y, X, C); called on a background
            thread, only for planes that are needed.
        model
            Bytes of a model file to go on from; an untrained network if not given.
        fit_normalisation
            Keep the model's weights only: the first plane sets the normalisation.
        """
        number = self._connection.newest = self._connection.newest + 1
        session = SessionMemory(
            number, settings, plane_shape, n_channels, read_plane, model, fit_normalisation
        )

        def do() -> None:
            self._connection.session = session
            self._connection.trainer.ensure()
            process = self._connection.trainer.process
            if process is not None:
                process.request(*session.opening(process.slot))

        self._connection.post(do)
        return session.number

    def set_strokes(self, blocks: list[StrokeBlock]) -> None:
        """Painted values changed in these rectangles: painted, erased or undone."""
        # The caller may reuse its array for the next stroke before ours is sent.
        blocks = [replace(b, values=np.array(b.values, np.uint8, copy=True)) for b in blocks]

        def do() -> None:
            if self._connection.session is None:
                return
            for block in blocks:
                box = box_of(block.plane, block.region)
                self._connection.session.strokes.write(box, block.values.reshape(box.shape))
            self._connection.request(
                "strokes", {"blocks": [pack_strokes(block) for block in blocks]}
            )

        self._connection.post(do)

    def set_view(self, view: View) -> None:
        """What is on screen: predicted first, and again as training goes on."""

        def do() -> None:
            if self._connection.session is not None:
                self._connection.session.view = view
            self._connection.request("view", {"view": pack_view(view)})

        self._connection.post(do)

    def set_live(self, on: bool) -> None:
        """Train, and refresh the view, until switched off. Answer to off: ``Finished("stop")``."""
        number = self._connection.newest

        def do() -> None:
            if on:
                self._connection.trainer.revive()
            if self._connection.session is not None:
                self._connection.session.live = on
            if not self._connection.request("live", {"on": on}) and not on:
                self._connection.teller.tell(number, Finished("stop"))

        self._connection.post(do)

    def update_once(self) -> None:
        """Train for a few seconds, refresh the view once. Answer: ``Finished("update")``."""

        def do() -> None:
            self._connection.trainer.revive()
            self._connection.request("update_once", {})

        self._connection.post(do)

    def predict_all(self, planes: list[PlaneKey]) -> None:
        """Segment whole planes with the kept weights. Answer: ``Finished("predict")``."""
        wanted = [list(plane) for plane in planes]

        def do() -> None:
            self._connection.trainer.revive()
            self._connection.request("predict_all", {"planes": wanted})

        self._connection.post(do)

    def set_uncertainty(self, on: bool) -> None:
        """Tell with every block from now on how unsure it is, or no longer."""

        def do() -> None:
            if self._connection.session is not None:
                self._connection.session.uncertainty = on
            self._connection.request("uncertainty", {"on": on})

        self._connection.post(do)

    def refresh(self) -> None:
        """Show the view with the kept weights, though nothing is being learned."""
        self._ask("refresh")

    def show_me(self) -> None:
        """Ask where labels would teach most. Answer: `LookHere`, or a notice why there is none."""
        self._ask("show_me")

    def measure(self, models: list[bytes], request: int = 0) -> None:
        """Compare models (bytes of model files) on the held-out strokes. Answer: `Measured`.

        The answer carries the number `request`. Dropped without an answer by another `measure`,
        `open` or `cancel`.
        """
        number = self._connection.newest

        def do() -> None:
            packed = [pack_bytes(model) for model in models]
            if not self._connection.request("measure", {"models": packed, "request": request}):
                scores = dict.fromkeys(range(len(models)))
                self._connection.teller.tell(number, Measured(scores, request))

        self._connection.post(do)

    def cancel(self) -> None:
        """End whatever is under way; what was learned stays. Answer: ``Finished("stop")``."""
        number = self._connection.newest

        def do() -> None:
            if self._connection.session is not None:
                self._connection.session.live = False
            if not self._connection.request("cancel", {}):
                self._connection.teller.tell(number, Finished("stop"))

        self._connection.post(do)

    def _ask(self, name: str) -> None:
        def do() -> None:
            self._connection.request(name, {})

        self._connection.post(do)

    @property
    def model(self) -> bytes | None:
        """Bytes of the model file with the newest kept weights."""
        session = self._connection.session
        return session.model if session is not None else None

    @property
    def pid(self) -> int | None:
        """The trainer's process number, once it is `Ready` and while it lives."""
        return self._connection.trainer.pid

    def close(self) -> None:
        """End the trainer process and free all shared memory. No event comes after it.

        Returns within about a second, whatever the trainer or the listener are doing.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._connection.close()
