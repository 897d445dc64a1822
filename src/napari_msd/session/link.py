"""The Qt end of the process boundary: events hop onto the Qt thread, sessions are (re)opened.

The trainer's client calls back from a background thread. Events are collected there and
fetched on the Qt thread, so that a burst of them costs the event loop one turn.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal

from napari_msd.trainer.messages import Event, Finished
from napari_msd.viewer.layers import n_channels, pixels, plane_reader, plane_shape, spatial_shape

if TYPE_CHECKING:
    from napari_msd.core.settings import Settings


OnEvent = Callable[[int, Event], None]
"""Takes the number of the session that an event belongs to (0: of none), and the event."""


def _default_client(on_event: OnEvent) -> Any:
    from napari_msd.trainer.client import TrainerClient

    return TrainerClient(on_event)


@dataclass(frozen=True)
class Opened:
    """What the trainer's session is on. Arrays are compared by identity: they are large.

    `image` is the number of the image layer (see `ViewerMemory.number`).
    """

    settings: Settings
    image: int
    pixels: Any
    shape: tuple[int, ...]
    channels: int
    annotation: Any

    def same(self, other: Opened | None) -> bool:
        """Whether nothing has to be opened anew."""
        return (
            other is not None
            and self.pixels is other.pixels
            and self.annotation is other.annotation
            and (self.settings, self.image, self.shape, self.channels)
            == (other.settings, other.image, other.shape, other.channels)
        )


class _Inbox:
    """Collects events on any thread; wakes its owner once per batch."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._events: deque[tuple[int, Event]] = deque()
        self._lock = Lock()
        self._wake = wake
        self._woken = False
        self._closed = False

    def put(self, session: int, event: Event) -> None:
        with self._lock:
            if self._closed:
                return
            self._events.append((session, event))
            if self._woken:
                return
            self._woken = True
            # under the lock: `close` waits, so the owner is alive while it is woken
            self._wake()

    def take(self) -> list[tuple[int, Event]]:
        with self._lock:
            self._woken = False
            events = list(self._events)
            self._events.clear()
        return events

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._events.clear()


class TrainerLink(QObject):
    """Owns the trainer's client; `heard` carries what it says, on the Qt thread.

    Only events of the session that is open are told. What still waits on its way from an
    earlier one (another image, preset or version) is dropped.

    Parameters
    ----------
    make_client
        Called with the function that takes events; the real client unless a test
        says otherwise.
    """

    heard = Signal(object)
    _wake = Signal()

    def __init__(
        self,
        make_client: Callable[[OnEvent], Any] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._make_client = make_client or _default_client
        self._wake.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self.client: Any = None
        self.opened: Opened | None = None
        self._session = 0
        self._inbox: _Inbox | None = None
        self._shut: Any = None

    def start(self) -> None:
        """Start a trainer; one that is there already is ended first."""
        self.close()
        self._inbox = inbox = _Inbox(self._wake.emit)
        self.client = client = self._make_client(inbox.put)
        # whatever way this object goes, the process must go with it
        self._shut = weakref.finalize(self, _end, inbox, client)
        self.destroyed.connect(self._shut)
        client.start()

    def open(
        self,
        settings: Settings,
        number: int,
        image: Any,
        annotation: Any,
        model: bytes | None,
        *,
        fit_normalisation: bool = False,
    ) -> bool:
        """Put the trainer's session on these; False when it is on them already.

        Parameters
        ----------
        settings
            Network and training.
        number
            Stands for the image layer.
        image, annotation
            The layers; the annotation may be ``None``.
        model
            Weights to go on from, as a model file's bytes.
        fit_normalisation
            They are of another image: measure grey values anew.
        """
        wanted = Opened(
            settings, number, pixels(image), spatial_shape(image), n_channels(image), annotation
        )
        if wanted.same(self.opened):
            return False
        self._session = self.client.open(
            settings,
            plane_shape(image),
            wanted.channels,
            plane_reader(image),
            model,
            fit_normalisation=fit_normalisation,
        )
        self.opened = wanted
        return True

    def leave(self) -> None:
        """Hear no more of the session that is open; the next work opens another one."""
        self.opened = None
        self._session = 0

    def close(self) -> None:
        """End the trainer; after this no event comes."""
        if self._shut is not None:
            self.destroyed.disconnect(self._shut)
            self._shut()
        self._shut = self._inbox = self.client = None
        self.leave()

    def _deliver(self) -> None:
        inbox = self._inbox
        for session, event in inbox.take() if inbox is not None else ():
            if self._inbox is not inbox:
                return  # closed by what an earlier event set off
            # the end of work that was stopped counts, whatever is open by then
            if session in (0, self._session) or event == Finished("stop"):
                self.heard.emit(event)


def _end(inbox: _Inbox, client: Any) -> None:
    inbox.close()
    client.close()
