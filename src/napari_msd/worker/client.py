"""The viewer's end of the process boundary: the trainer process, started, fed, watched and ended.

Nothing here blocks the caller: requests are queued and sent by a thread of our
own, planes are read by another, events arrive on appose's. Never imports torch.
"""

from __future__ import annotations

import queue
import threading
import time
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
    TrainerDied,
    View,
)
from napari_msd.worker.plane_reader import PlaneRead, PlaneReader
from napari_msd.worker.trainer_process import TrainerProcess
from napari_msd.worker.wire import pack_bytes, pack_strokes, pack_view, unpack_event

MAX_DEATHS = 3
DEATHS_WITHIN = 60.0
"""A trainer that dies more than MAX_DEATHS times within so many seconds is left dead."""

CLOSE_SECONDS = 5.0


class TrainerClient:
    """A trainer in a process of its own, and everything needed to replace it.

    All methods return at once and never raise for a dead trainer. If the process
    dies, `TrainerDied` is told, and a new one is started with the session, the
    strokes, the view and the last kept weights, and trains on if it was Live.

    Parameters
    ----------
    on_event
        Called with the number of a session (see `open`) and an `Event` of it, on a
        background thread, one at a time. The number is 0 for events of no session. Those of
        a session that is no longer the newest may still come: drop them.
    """

    def __init__(self, on_event: Callable[[int, Event], None]) -> None:
        self._on_event = on_event
        self._telling = threading.Lock()
        self._process: TrainerProcess | None = None
        self._session: SessionMemory | None = None
        self._number = 0
        self._pid: int | None = None
        self._deaths: list[float] = []
        self._closing = False
        self._outbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_loop, name="trainer-sender", daemon=True)
        self._sender.start()
        self._reader = PlaneReader(self._pass_on)

    # --- what the viewer asks for --------------------------------------------------------

    def start(self) -> None:
        """Launch the trainer process, so that it is warm when it is needed. Answer: `Ready`."""
        self._outbox.put(self._ensure_process)

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
            self._ensure_process()
            if self._process is not None:
                self._process.request(*session.opening(self._process.slot))

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
            self._request("strokes", {"blocks": [pack_strokes(block) for block in blocks]})

        self._outbox.put(do)

    def set_view(self, view: View) -> None:
        """What is on screen: predicted first, and again as training goes on."""

        def do() -> None:
            if self._session is not None:
                self._session.view = view
            self._request("view", {"view": pack_view(view)})

        self._outbox.put(do)

    def set_live(self, on: bool) -> None:
        """Train, and refresh the view, until switched off. Answer to off: ``Finished("stop")``."""
        number = self._number

        def do() -> None:
            if on:
                self._revive()
            if self._session is not None:
                self._session.live = on
            self._request("live", {"on": on})
            if not on and self._process is None:
                self._tell(number, Finished("stop"))

        self._outbox.put(do)

    def update_once(self) -> None:
        """Train for a few seconds, refresh the view once. Answer: ``Finished("update")``."""

        def do() -> None:
            self._revive()
            self._request("update_once", {})

        self._outbox.put(do)

    def predict_all(self, planes: list[PlaneKey]) -> None:
        """Segment whole planes with the kept weights. Answer: ``Finished("predict")``."""
        wanted = [list(plane) for plane in planes]

        def do() -> None:
            self._revive()
            self._request("predict_all", {"planes": wanted})

        self._outbox.put(do)

    def set_uncertainty(self, on: bool) -> None:
        """Tell with every block from now on how unsure it is, or no longer."""

        def do() -> None:
            if self._session is not None:
                self._session.uncertainty = on
            self._request("uncertainty", {"on": on})

        self._outbox.put(do)

    def refresh(self) -> None:
        """Show the view with the kept weights, though nothing is being learned."""
        self._outbox.put(lambda: self._request("refresh", {}))

    def show_me(self) -> None:
        """Ask where labels would teach most. Answer: `LookHere`, or a notice why there is none."""
        self._outbox.put(lambda: self._request("show_me", {}))

    def measure(self, models: list[bytes]) -> None:
        """Compare models (bytes of model files) on the held-out strokes. Answer: `Measured`.

        Dropped without an answer by another `measure`, `open` or `cancel`.
        """
        number = self._number

        def do() -> None:
            self._request("measure", {"models": [pack_bytes(model) for model in models]})
            if self._process is None:
                self._tell(number, Measured(dict.fromkeys(range(len(models)))))

        self._outbox.put(do)

    def cancel(self) -> None:
        """End whatever is under way; what was learned stays. Answer: ``Finished("stop")``."""
        number = self._number

        def do() -> None:
            if self._session is not None:
                self._session.live = False
            self._request("cancel", {})
            if self._process is None:
                self._tell(number, Finished("stop"))

        self._outbox.put(do)

    @property
    def model(self) -> bytes | None:
        """Bytes of the model file with the newest kept weights."""
        return self._session.model if self._session is not None else None

    @property
    def pid(self) -> int | None:
        """The trainer's process number, once it is `Ready` and while it lives."""
        return self._pid

    def close(self) -> None:
        """End the trainer process and free all shared memory. No event comes after it."""
        if self._closing:
            return
        with self._telling:
            self._closing = True
        self._outbox.put(None)
        self._reader.close()
        process = self._process
        if process is not None:
            process.kill()  # at once: the sender may be stuck in a full pipe
        if threading.current_thread() is not self._sender:
            self._sender.join(CLOSE_SECONDS)

    # --- the sender's thread -------------------------------------------------------------

    def _send_loop(self) -> None:
        while (do := self._outbox.get()) is not None:
            if not self._closing:
                do()
        if self._process is not None:
            self._process.end()
            self._process = None
            self._pid = None

    def _ensure_process(self) -> None:
        if self._process is not None:
            return
        process = TrainerProcess(
            lambda data: self._hear(process, data),
            lambda: self._outbox.put(lambda: self._bury(process)),
        )
        try:
            process.start()
        except OSError as error:
            self._tell(0, Notice("error", f"The trainer process could not be started: {error}"))
            return
        self._process = process

    def _request(self, name: str, inputs: dict[str, Any]) -> None:
        """Send to the living trainer; a dead one gets all of it when it is replaced."""
        if self._process is not None:
            self._process.request(name, inputs)

    def _answer(self, process: TrainerProcess, name: str, **inputs: Any) -> None:
        """Send to the process that asked, if it is still the one in use."""
        if process is self._process:
            process.request(name, inputs)

    def _bury(self, process: TrainerProcess) -> None:
        """The trainer died unasked: say so, and put a new one in its place."""
        if process is not self._process or self._closing:
            return
        process.end()
        self._process = None
        self._pid = None
        now = time.monotonic()
        self._deaths = [t for t in self._deaths if now - t < DEATHS_WITHIN] + [now]
        restarting = len(self._deaths) <= MAX_DEATHS
        what = (
            "a new one goes on from the last weights" if restarting else "press Live to try again"
        )
        self._tell(0, TrainerDied(f"The trainer stopped unexpectedly; {what}.", restarting))
        if restarting:
            self._ensure_process()
            self._resume()
        elif self._session is not None:
            self._session.live = False

    def _revive(self) -> None:
        """The person asks for work: a trainer that was left dead gets another chance."""
        if self._process is None:
            self._deaths.clear()
            self._ensure_process()
            self._resume()

    def _resume(self) -> None:
        """Bring a new process to where the dead one was."""
        if self._session is not None and self._process is not None:
            for name, inputs in self._session.resuming(self._process.slot):
                self._process.request(name, inputs)

    # --- the plane reader's thread -------------------------------------------------------

    def _pass_on(self, read: PlaneRead) -> None:
        self._outbox.put(lambda: self._send_plane(read))

    def _send_plane(self, read: PlaneRead) -> None:
        if read.session is not self._session:
            return
        plane = list(read.plane)
        if read.pixels is None:
            self._request("plane_unreadable", {"plane": plane, "why": read.why})
        elif self._process is not None:
            self._process.request("plane", {"plane": plane}, pixels=read.pixels)

    # --- appose's thread -----------------------------------------------------------------

    def _hear(self, process: TrainerProcess, data: dict[str, Any]) -> None:
        number = data.pop("session")
        event = unpack_event(data)
        if isinstance(event, Ready):
            number = 0
        if number not in (0, self._number):
            return  # late words about an image, or strokes, that are no longer worked on
        match event:
            case PlaneWanted(plane):
                session = self._session
                if session is not None:
                    self._reader.read(session, plane)
                return
            case OverlayBlock():
                event = process.take_overlay(event)
                self._outbox.put(lambda: self._answer(process, "overlay_taken", session=number))
            case ModelKept(model):
                if self._session is not None and self._session.number == number:
                    self._session.keep(model)
            case Ready():
                self._pid = event.pid
            case _:
                pass
        self._tell(number, event)

    def _tell(self, session: int, event: Event) -> None:
        with self._telling:
            if not self._closing:
                self._on_event(session, event)
