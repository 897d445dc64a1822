"""The session's connection to the trainer: moves events to the session's thread, opens sessions.

The trainer's client calls back from a background thread. Events are queued there and fetched in
batches on the session's thread, so that a burst of them takes one turn of its event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_msd.images.sources import in_mode
from napari_msd.session.ports import SOURCE
from napari_msd.trainer.events import Event, Finished
from napari_msd.trainer.protocol import OnEvent, Trainer

if TYPE_CHECKING:
    from napari_msd.core.settings import Settings
    from napari_msd.core.space import Space
    from napari_msd.session.ports import ImageData, Layer


MakeTrainer = Callable[[OnEvent], Trainer]
"""Makes a trainer that passes its events to a function, on any thread."""

CallSoon = Callable[[Callable[[], None]], None]
"""Runs a function on the session's thread, soon; may be called from any thread."""


def child_process_trainer(on_event: OnEvent) -> Trainer:
    """The trainer in a child process."""
    from napari_msd.trainer.client import TrainerClient

    return TrainerClient(on_event)


@dataclass(frozen=True)
class Opened:
    """What the trainer's session was opened with. Arrays are large, so they compare by identity.

    `images` are the numbers of the layers of the image (see `SessionMemory.number`).
    """

    settings: Settings
    images: tuple[int, ...]
    data: ImageData
    annotation: Layer | None

    @property
    def seen(self) -> Space:
        """The image's axes as the network sees them."""
        return self.data.space.in_mode(self.settings.mode, self.settings.context)

    def same(self, other: Opened | None) -> bool:
        """Whether an open session can be used as it is."""
        return (
            other is not None
            and self.data.same(other.data)
            and self.annotation is other.annotation
            and (self.settings, self.images) == (other.settings, other.images)
            and self.seen.network_input == other.seen.network_input
        )


class _Inbox:
    """Collects events on any thread; notifies its owner once per batch."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._events: deque[tuple[int, Event]] = deque()
        self._lock = Lock()
        self._notify = notify
        self._notified = False
        self._closed = False

    def put(self, session: int, event: Event) -> None:
        with self._lock:
            if self._closed:
                return
            self._events.append((session, event))
            if self._notified:
                return
            self._notified = True
            # under the lock: `close` waits, so the owner still exists when it is notified
            self._notify()

    def take(self) -> list[tuple[int, Event]]:
        with self._lock:
            self._notified = False
            events = list(self._events)
            self._events.clear()
        return events

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._events.clear()


class TrainerConnection:
    """Owns the trainer's client; `heard` emits its events on the session's thread.

    Only events of the open session are emitted. Late events of an earlier one (another image,
    preset or version) are dropped.

    Parameters
    ----------
    make_trainer
        Called with the function that receives events.
    call_soon
        Runs a function on the session's thread.
    """

    heard = Signal(object)

    def __init__(self, make_trainer: MakeTrainer, call_soon: CallSoon) -> None:
        self._make_trainer, self._call_soon = make_trainer, call_soon
        self._trainer: Trainer | None = None
        self.opened: Opened | None = None
        self._epoch = 0
        self._inbox: _Inbox | None = None

    def start(self) -> None:
        """Start a trainer; an existing one is ended first."""
        self.close()
        self._inbox = inbox = _Inbox(lambda: self._call_soon(self._deliver))
        self._trainer = self._make_trainer(inbox.put)
        self._trainer.start()

    @property
    def client(self) -> Trainer:
        """The trainer; it exists from `start` to `close`."""
        assert self._trainer is not None
        return self._trainer

    def open(
        self,
        settings: Settings,
        images: tuple[int, ...],
        data: ImageData,
        annotation: Layer | None,
        model: bytes | None,
        *,
        fit_normalisation: bool = False,
    ) -> bool:
        """Open a trainer session with these; False if it is open with them already.

        Parameters
        ----------
        settings
            Network and training.
        images
            Numbers of the layers of the image.
        data
            Their pixels.
        annotation
            The annotation layer.
        model
            Weights to continue from, as a model file's bytes.
        fit_normalisation
            Whether to fit the normalisation again, because the weights are from another image.
        """
        wanted = Opened(settings, images, data, annotation)
        if wanted.same(self.opened):
            return False
        read, space = in_mode(data.read, data.space, settings.mode, settings.context)
        self._epoch = self.client.open(
            settings,
            {SOURCE: space},
            read,
            model,
            fit_normalisation=fit_normalisation,
        )
        self.opened = wanted
        return True

    def leave(self) -> None:
        """Drop all further events of the open session; the next task opens another one."""
        self.opened = None
        self._epoch = 0

    def close(self) -> None:
        """End the trainer; no event is emitted afterwards."""
        inbox, self._inbox = self._inbox, None
        trainer, self._trainer = self._trainer, None
        if inbox is not None:
            inbox.close()
        if trainer is not None:
            trainer.close()
        self.leave()

    def _deliver(self) -> None:
        inbox = self._inbox
        for epoch, event in inbox.take() if inbox is not None else ():
            if self._inbox is not inbox:
                return  # closed while an earlier event was handled
            # the end of stopped work counts, whichever session is open by then
            if epoch in (0, self._epoch) or event == Finished("stop"):
                self.heard.emit(event)
