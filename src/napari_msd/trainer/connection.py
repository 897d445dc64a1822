"""Everything of the client that runs on threads of its own, and what they share.

One thread sends requests (`Outbox`), one reads planes (`PlaneReader`), one calls the
listener (`Teller`), one watches for a trainer that hangs (`Supervisor`); messages of the
trainer arrive on appose's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from napari_msd.trainer.child_process import TrainerProcess
from napari_msd.trainer.listener import Teller, Told
from napari_msd.trainer.messages import (
    Event,
    Finished,
    ModelKept,
    Notice,
    OverlayBlock,
    PlaneWanted,
    Ready,
)
from napari_msd.trainer.outbox import Action, Outbox
from napari_msd.trainer.plane_reader import PlaneRead, PlaneReader
from napari_msd.trainer.session_memory import SessionMemory
from napari_msd.trainer.sharing import share
from napari_msd.trainer.supervisor import Requests, Supervisor
from napari_msd.trainer.wire import unpack_event

CLOSE_SECONDS = 0.5
"""How long `close` waits for the process to be gone, and as long for the listener to return."""


class Connection:
    """The way to the trainer and back.

    Parameters
    ----------
    on_event, tick_seconds
        See `TrainerClient`.
    """

    def __init__(self, on_event: Callable[[int, Event], None], tick_seconds: float) -> None:
        self.newest = 0
        """Number of the newest session that was asked for."""
        self.session: SessionMemory | None = None
        """The session that was sent last; changed on the sender's thread."""
        self._puzzled = False
        self.teller = Teller(on_event)
        self.trainer = Supervisor(
            self.hear, self._tell, self.post, self._rest, self._resuming, tick_seconds
        )
        self._outbox = Outbox(self._on_error, self.trainer.end)
        self._reader = PlaneReader(self._pass_on)

    def post(self, action: Action) -> None:
        """Do this on the sender's thread, after all that was posted before."""
        self._outbox.put(action)

    def request(self, name: str, inputs: dict[str, Any]) -> bool:
        """Send to the living trainer, on the sender's thread; False if there is none."""
        return self.trainer.request(name, inputs)

    def close(self) -> None:
        """End everything, in about a second whatever the trainer or the listener are doing."""
        self._reader.close()
        self._outbox.close()
        self.trainer.kill()  # at once: the sender may be stuck in a full pipe
        self.teller.close(CLOSE_SECONDS)
        self._outbox.join(CLOSE_SECONDS)

    # --- the sender's thread -------------------------------------------------------------

    def _rest(self) -> None:
        """Nothing is under way any more."""
        if self.session is not None:
            self.session.live = False

    def _resuming(self, slot: Any) -> Requests:
        return self.session.resuming(slot) if self.session is not None else ()

    def _on_error(self, error: Exception) -> None:
        """A request was lost: what the person sees must be what the trainer does."""
        self._rest()
        self.trainer.request("rest", {})
        self._tell(
            Notice(
                "error",
                f"The trainer could not be told of it ({type(error).__name__}: {error}); "
                "training stopped, press Live to go on.",
            )
        )

    def answer(self, process: TrainerProcess, name: str, **inputs: Any) -> None:
        """Send to the process that asked, if it is still the one in use."""
        if process is self.trainer.process:
            process.request(name, inputs)

    def _send_plane(self, read: PlaneRead) -> None:
        process = self.trainer.process
        if read.session is not self.session or process is None:
            return
        plane = list(read.plane)
        if read.pixels is None:
            process.request("plane_unreadable", {"plane": plane, "how": "read", "why": read.why})
            return
        try:
            pixels = share(read.pixels)
        except Exception as error:  # whatever it is, the trainer waits for an answer
            why = str(error) or "there is too little memory"
            process.request("plane_unreadable", {"plane": plane, "how": "sent", "why": why})
        else:
            process.request("plane", {"plane": plane}, pixels)

    # --- the plane reader's thread -------------------------------------------------------

    def _pass_on(self, read: PlaneRead) -> None:
        self.post(lambda: self._send_plane(read))

    # --- appose's thread -----------------------------------------------------------------

    def hear(self, process: TrainerProcess, data: dict[str, Any]) -> None:
        """Pass on what a process sent."""
        try:
            number = data.pop("session")
            event = unpack_event(data)
        except Exception:
            logging.getLogger(__name__).exception("The trainer said what is not understood")
            if not self._puzzled:  # once: there may be many more
                self._puzzled = True
                self._tell(Notice("warning", "A message of the trainer was not understood."))
            return
        if isinstance(event, Ready):
            self.trainer.ready(process, event.pid)
            number = 0
        if number not in (0, self.newest) and event != Finished("stop"):
            return  # late words about an image, or strokes, that are no longer worked on
        session = self.session
        if session is None or session.number != number:
            session = None
        match event:
            case PlaneWanted(plane):
                if session is not None:
                    self._reader.read(session, plane)
            case OverlayBlock():
                self.teller.tell_late(lambda: self._take(process, number, event))
            case ModelKept(model):
                if session is not None:
                    session.keep(model)
                self.teller.tell(number, event)
            case Notice("error"):
                if session is not None:  # the trainer rests; a new one must not train unasked
                    session.live = False
                self.teller.tell(number, event)
            case _:
                self.teller.tell(number, event)

    # --- the teller's thread -------------------------------------------------------------

    def _take(self, process: TrainerProcess, number: int, block: OverlayBlock) -> Told | None:
        """Copy a block when the listener is there for it; the trainer predicts no further ahead."""
        taken = process.take_overlay(block) if number == self.newest else None
        if taken is None:
            return None
        self.post(lambda: self.answer(process, "overlay_taken", session=number))
        return number, taken

    def _tell(self, event: Event) -> None:
        """Tell what belongs to no session."""
        self.teller.tell(0, event)
