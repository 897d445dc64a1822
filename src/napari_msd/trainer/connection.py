"""Everything of the client that runs on threads of its own, and what they share.

One thread sends requests (`SendQueue`), one of each epoch reads pixels (`PixelReader`), one calls
the listener (`EventDispatcher`), one watches for a trainer that hangs (`Supervisor`); messages of
the trainer arrive on a thread of its host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from napari_msd.trainer.dispatcher import Delivery, EventDispatcher
from napari_msd.trainer.envelopes import NO_EPOCH, EventEnvelope, Gate, Stamp
from napari_msd.trainer.epoch_state import EpochState, PixelsRequest
from napari_msd.trainer.events import Event, ModelKept, Notice, OverlayBlock, PixelsWanted, Ready
from napari_msd.trainer.host import Launch
from napari_msd.trainer.pixel_parts import parts_of
from napari_msd.trainer.pixel_reader import PixelRead, PixelReader
from napari_msd.trainer.protocol import OnEvent
from napari_msd.trainer.requests import OverlayTaken, Pause, PixelsUnavailable, Request
from napari_msd.trainer.send_queue import Action, SendQueue
from napari_msd.trainer.supervisor import Addressed, Supervisor

CLOSE_SECONDS = 0.5
"""How long `close` waits for the trainer to be gone, and as long for the listener to return."""


class Connection:
    """The way to the trainer and back.

    Parameters
    ----------
    on_event, launch, tick_seconds
        See `TrainerClient`.
    """

    def __init__(self, on_event: OnEvent, launch: Launch, tick_seconds: float) -> None:
        self.gate = Gate(session=0)
        """Its epoch is the newest that was asked for."""
        self.state: EpochState | None = None
        """The epoch that was sent last; changed on the sender's thread."""
        self.dispatcher = EventDispatcher(on_event)
        self.trainer = Supervisor(
            launch,
            self.gate,
            self.on_envelope,
            self._report,
            self.post,
            self._not_live,
            self._resuming,
            tick_seconds,
        )
        self._queue = SendQueue(self._on_error, self.trainer.end)
        self._reader = PixelReader(
            lambda read: self._queue.put_bulk(self._send_pixels(read)),
            lambda epoch: epoch is self.state,
        )

    def post(self, action: Action) -> None:
        """Do this on the sender's thread, after all that was posted before."""
        self._queue.put(action)

    def request(self, request: Request) -> bool:
        """Send to the living trainer, on the sender's thread; False if there is none."""
        epoch = self.state.number if self.state is not None else NO_EPOCH
        return self.trainer.request(epoch, request)

    def close(self) -> None:
        """End everything, in about a second whatever the trainer or the listener are doing."""
        self._reader.close()
        self._queue.close()
        self.trainer.kill()  # at once: the sender may be stuck in a full pipe
        self.dispatcher.close(CLOSE_SECONDS)
        self._queue.join(CLOSE_SECONDS)

    # --- the sender's thread -------------------------------------------------------------

    def _not_live(self) -> None:
        """Nothing is under way any more."""
        if self.state is not None:
            self.state.live = False

    def _resuming(self) -> Iterable[Addressed]:
        if self.state is not None:
            for request in self.state.resuming():
                yield self.state.number, request

    def _on_error(self, error: Exception) -> None:
        """A request was lost: what the person sees must be what the trainer does."""
        self._not_live()
        self.request(Pause())
        self._report(
            Notice(
                "error",
                f"A request could not be sent to the trainer ({type(error).__name__}: {error}); "
                "training stopped, press Live to go on.",
            )
        )

    def _send_pixels(self, read: PixelRead) -> Iterator[None]:
        """Send a slab part by part, to the trainer that is in use when the first one goes."""
        wanted, session = read.wanted, self.trainer.session
        if wanted.epoch is not self.state:
            return
        if read.pixels is None:
            self.request(PixelsUnavailable(wanted.box, "read", read.why, wanted.scale))
            return
        try:
            for part in parts_of(wanted.box, read.pixels, wanted.scale):
                if wanted.epoch is not self.state or session != self.trainer.session:
                    return
                self.request(part)
                yield
        except Exception as error:  # whatever it is, the trainer waits for an answer
            why = str(error) or "there is too little memory"
            self.request(PixelsUnavailable(wanted.box, "sent", why, wanted.scale))

    def _acknowledge(self, stamp: Stamp) -> None:
        """The trainer may send another block, if it is still the one that sent this."""
        if stamp.session == self.trainer.session:
            self.trainer.request(stamp.epoch, OverlayTaken())

    # --- the host's thread ---------------------------------------------------------------

    def on_envelope(self, envelope: EventEnvelope) -> None:
        """Act on what a trainer sent, or pass it on; what is stale is dropped."""
        stamp, event = envelope.stamp, envelope.event
        if not self.gate.accepts(stamp, event):
            return
        state = self.state
        if state is None or state.number != stamp.epoch:
            state = None
        match event:
            case Ready(pid=pid):
                self.trainer.pid = pid
            case PixelsWanted(box, ahead, scale):
                if state is not None:
                    self._reader.read(PixelsRequest(state, box, ahead, scale))
                return
            case ModelKept(model):
                if state is not None:
                    state.keep(model)
            case Notice("error"):
                if state is not None:  # the trainer has stopped; a new one must not train unasked
                    state.live = False
            case _:
                pass
        self.dispatcher.dispatch_late(lambda: self._delivery(stamp, event))

    # --- the dispatcher's thread ---------------------------------------------------------

    def _delivery(self, stamp: Stamp, event: Event) -> Delivery | None:
        """The event, if it is not stale by now.

        A block is acknowledged only now, when the listener is there for it: with a slow listener
        the trainer predicts no further ahead.
        """
        if isinstance(event, OverlayBlock):
            self.post(lambda: self._acknowledge(stamp))
        if self.gate.outdated(stamp.epoch, event):
            return None
        return stamp.epoch, event

    def _report(self, event: Event) -> None:
        """Deliver what belongs to no epoch."""
        self.dispatcher.dispatch(NO_EPOCH, event)
