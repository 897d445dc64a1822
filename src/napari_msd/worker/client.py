"""The viewer's end of the process boundary: the trainer process, started, fed, watched and ended.

Nothing here blocks the caller. Threads: one sends requests (`Outbox`), one reads planes
(`PlaneReader`), one calls the listener (`Teller`), one watches for a trainer that hangs
(`Supervisor`); messages arrive on appose's. Never imports torch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from napari_msd.config import Settings
from napari_msd.planes import PlaneKey
from napari_msd.worker.memory import ReadPlane, SessionMemory
from napari_msd.worker.messages import (
    Event,
    Finished,
    Measured,
    ModelKept,
    Notice,
    OverlayBlock,
    PlaneWanted,
    Ready,
    StrokeBlock,
    View,
)
from napari_msd.worker.outbox import Outbox
from napari_msd.worker.plane_reader import PlaneRead, PlaneReader
from napari_msd.worker.sharing import share
from napari_msd.worker.supervisor import TICK_SECONDS, Requests, Supervisor
from napari_msd.worker.telling import Teller, Told
from napari_msd.worker.trainer_process import TrainerProcess
from napari_msd.worker.wire import pack_bytes, pack_strokes, pack_view, unpack_event

CLOSE_SECONDS = 0.5
"""How long `close` waits for the process to be gone, and as long for the listener to return."""


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
        self._session: SessionMemory | None = None
        self._number = 0
        self._closing = threading.Lock()
        self._closed = False
        self._teller = Teller(on_event)
        self._trainer = Supervisor(
            self._hear, self._tell, self._post, self._rest, self._resuming, tick_seconds
        )
        self._outbox = Outbox(self._on_error, self._trainer.end)
        self._reader = PlaneReader(self._pass_on)

    # --- what the viewer asks for --------------------------------------------------------

    def start(self) -> None:
        """Launch the trainer process, so that it is warm when it is needed. Answer: `Ready`."""
        self._outbox.put(self._trainer.ensure)

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
        self._number += 1
        session = SessionMemory(
            self._number, settings, plane_shape, n_channels, read_plane, model, fit_normalisation
        )

        def do() -> None:
            self._session = session
            self._trainer.ensure()
            process = self._trainer.process
            if process is not None:
                process.request(*session.opening(process.slot))

        self._outbox.put(do)
        return session.number

    def set_strokes(self, blocks: list[StrokeBlock]) -> None:
        """Painted values changed in these rectangles: painted, erased or undone."""
        # The caller may reuse its array for the next stroke before ours is sent.
        blocks = [replace(b, values=np.array(b.values, np.uint8, copy=True)) for b in blocks]

        def do() -> None:
            if self._session is None:
                return
            for block in blocks:
                self._session.strokes.write(block.plane, block.region, block.values)
            self._trainer.request("strokes", {"blocks": [pack_strokes(block) for block in blocks]})

        self._outbox.put(do)

    def set_view(self, view: View) -> None:
        """What is on screen: predicted first, and again as training goes on."""

        def do() -> None:
            if self._session is not None:
                self._session.view = view
            self._trainer.request("view", {"view": pack_view(view)})

        self._outbox.put(do)

    def set_live(self, on: bool) -> None:
        """Train, and refresh the view, until switched off. Answer to off: ``Finished("stop")``."""
        number = self._number

        def do() -> None:
            if on:
                self._trainer.revive()
            if self._session is not None:
                self._session.live = on
            if not self._trainer.request("live", {"on": on}) and not on:
                self._teller.tell(number, Finished("stop"))

        self._outbox.put(do)

    def update_once(self) -> None:
        """Train for a few seconds, refresh the view once. Answer: ``Finished("update")``."""

        def do() -> None:
            self._trainer.revive()
            self._trainer.request("update_once", {})

        self._outbox.put(do)

    def predict_all(self, planes: list[PlaneKey]) -> None:
        """Segment whole planes with the kept weights. Answer: ``Finished("predict")``."""
        wanted = [list(plane) for plane in planes]

        def do() -> None:
            self._trainer.revive()
            self._trainer.request("predict_all", {"planes": wanted})

        self._outbox.put(do)

    def set_uncertainty(self, on: bool) -> None:
        """Tell with every block from now on how unsure it is, or no longer."""

        def do() -> None:
            if self._session is not None:
                self._session.uncertainty = on
            self._trainer.request("uncertainty", {"on": on})

        self._outbox.put(do)

    def refresh(self) -> None:
        """Show the view with the kept weights, though nothing is being learned."""
        self._outbox.put(lambda: self._ask("refresh"))

    def show_me(self) -> None:
        """Ask where labels would teach most. Answer: `LookHere`, or a notice why there is none."""
        self._outbox.put(lambda: self._ask("show_me"))

    def measure(self, models: list[bytes]) -> None:
        """Compare models (bytes of model files) on the held-out strokes. Answer: `Measured`.

        Dropped without an answer by another `measure`, `open` or `cancel`.
        """
        number = self._number

        def do() -> None:
            packed = [pack_bytes(model) for model in models]
            if not self._trainer.request("measure", {"models": packed}):
                self._teller.tell(number, Measured(dict.fromkeys(range(len(models)))))

        self._outbox.put(do)

    def cancel(self) -> None:
        """End whatever is under way; what was learned stays. Answer: ``Finished("stop")``."""
        number = self._number

        def do() -> None:
            if self._session is not None:
                self._session.live = False
            if not self._trainer.request("cancel", {}):
                self._teller.tell(number, Finished("stop"))

        self._outbox.put(do)

    @property
    def model(self) -> bytes | None:
        """Bytes of the model file with the newest kept weights."""
        return self._session.model if self._session is not None else None

    @property
    def pid(self) -> int | None:
        """The trainer's process number, once it is `Ready` and while it lives."""
        return self._trainer.pid

    def close(self) -> None:
        """End the trainer process and free all shared memory. No event comes after it.

        Returns within about a second, whatever the trainer or the listener are doing.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._reader.close()
        self._outbox.close()
        self._trainer.kill()  # at once: the sender may be stuck in a full pipe
        self._teller.close(CLOSE_SECONDS)
        self._outbox.join(CLOSE_SECONDS)

    # --- the sender's thread -------------------------------------------------------------

    def _post(self, action: Callable[[], None]) -> None:
        self._outbox.put(action)

    def _ask(self, name: str) -> None:
        self._trainer.request(name, {})

    def _rest(self) -> None:
        """Nothing is under way any more."""
        if self._session is not None:
            self._session.live = False

    def _resuming(self, slot: Any) -> Requests:
        return self._session.resuming(slot) if self._session is not None else ()

    def _on_error(self, error: Exception) -> None:
        """A request was lost: what the person sees must be what the trainer does."""
        self._rest()
        self._trainer.request("rest", {})
        self._tell(
            Notice(
                "error",
                f"The trainer could not be told of it ({type(error).__name__}: {error}); "
                "training stopped, press Live to go on.",
            )
        )

    def _answer(self, process: TrainerProcess, name: str, **inputs: Any) -> None:
        """Send to the process that asked, if it is still the one in use."""
        if process is self._trainer.process:
            process.request(name, inputs)

    def _send_plane(self, read: PlaneRead) -> None:
        process = self._trainer.process
        if read.session is not self._session or process is None:
            return
        plane = list(read.plane)
        if read.pixels is None:
            process.request("plane_unreadable", {"plane": plane, "how": "read", "why": read.why})
            return
        try:
            pixels = share(read.pixels)
        except (OSError, MemoryError) as error:
            why = str(error) or "there is too little memory"
            process.request("plane_unreadable", {"plane": plane, "how": "sent", "why": why})
            return
        process.request("plane", {"plane": plane}, pixels)

    # --- the plane reader's thread -------------------------------------------------------

    def _pass_on(self, read: PlaneRead) -> None:
        self._outbox.put(lambda: self._send_plane(read))

    # --- appose's thread -----------------------------------------------------------------

    def _hear(self, process: TrainerProcess, data: dict[str, Any]) -> None:
        try:
            number = data.pop("session")
            event = unpack_event(data)
        except Exception:
            logging.getLogger(__name__).exception("The trainer said what is not understood")
            self._tell(Notice("warning", "A message of the trainer was not understood."))
            return
        if isinstance(event, Ready):
            self._trainer.ready(process, event.pid)
            number = 0
        if number not in (0, self._number) and event != Finished("stop"):
            return  # late words about an image, or strokes, that are no longer worked on
        session = self._session
        if session is None or session.number != number:
            session = None
        match event:
            case PlaneWanted(plane):
                if session is not None:
                    self._reader.read(session, plane)
            case OverlayBlock():
                self._teller.tell_late(lambda: self._take(process, number, event))
            case ModelKept(model):
                if session is not None:
                    session.keep(model)
                self._teller.tell(number, event)
            case _:
                self._teller.tell(number, event)

    # --- the teller's thread -------------------------------------------------------------

    def _take(self, process: TrainerProcess, number: int, block: OverlayBlock) -> Told | None:
        """Copy a block when the listener is there for it; the trainer predicts no further ahead."""
        taken = process.take_overlay(block) if number == self._number else None
        if taken is None:
            return None
        self._outbox.put(lambda: self._answer(process, "overlay_taken", session=number))
        return number, taken

    def _tell(self, event: Event) -> None:
        """Tell what belongs to no session."""
        self._teller.tell(0, event)
