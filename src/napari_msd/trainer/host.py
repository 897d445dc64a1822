"""What a client needs of the place that a trainer runs in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from napari_msd.trainer.envelopes import EventEnvelope, RequestEnvelope

OnEnvelope = Callable[[EventEnvelope], None]
"""Takes what the trainer says, on a thread of the host; must not block."""

OnDeath = Callable[[], None]
"""Called once if the trainer ends before `Host.end`, on a thread of the host."""


class Host(Protocol):
    """One trainer: started once, ended once."""

    def start(self) -> None:
        """Launch it.

        Raises
        ------
        OSError
            If the system does not allow that.
        """
        ...

    def send(self, envelope: RequestEnvelope) -> None:
        """Send a request, in order; may block. A dead trainer is no error here."""
        ...

    def tick(self) -> None:
        """A second passed: a trainer that hangs is killed, and dies as if by itself."""
        ...

    @property
    def what_happened(self) -> str:
        """Why it died, as the rest of a sentence about the trainer."""
        ...

    def kill(self) -> None:
        """End it at once, from any thread; `end` has to follow."""
        ...

    def end(self) -> None:
        """Kill it, wait for it, and give back all that it took. Always safe."""
        ...


Launch = Callable[[int, OnEnvelope, OnDeath], Host]
"""Makes the host for a session (see `Stamp`)."""
