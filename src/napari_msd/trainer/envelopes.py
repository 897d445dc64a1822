"""Who sent a message when: stamps, and the rule that drops what is stale."""

from __future__ import annotations

import msgspec

from napari_msd.trainer.events import Event, Finished
from napari_msd.trainer.requests import Request

NO_EPOCH = 0
"""Epoch of messages that belong to none: `Ready`, `Heartbeat`, notices about the process."""


NOT_SENT = 0
"""Sequence number of events that a host makes itself about what came."""


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """Where a message belongs.

    `session` counts the trainers that one client has started: a replaced trainer begins another.
    `epoch` counts what was opened: another image, annotation, preset, device or version begins
    another. `sequence` counts the messages of one sender in one session, from 1 on.
    """

    session: int
    epoch: int
    sequence: int


class RequestEnvelope(msgspec.Struct, frozen=True, array_like=True):
    """A request on its way."""

    stamp: Stamp
    request: Request


class EventEnvelope(msgspec.Struct, frozen=True, array_like=True):
    """An event on its way."""

    stamp: Stamp
    event: Event


class Gate:
    """Lets pass what is not stale.

    The rule, the same for both ends: a message is stale and dropped if

    - it is of another session than the receiver's: its sender was replaced;
    - or its sequence number is not above the last one: it came before (`NOT_SENT` never did);
    - or its epoch is older than the newest that the receiver has opened (`epoch`), unless it
      belongs to no epoch (`NO_EPOCH`).

    One event is never too old: ``Finished("stop")``. Whoever asked for a stop waits for the
    answer, whatever was opened meanwhile.

    Parameters
    ----------
    session
        The receiver's session.
    epoch
        The newest epoch.
    """

    def __init__(self, session: int, epoch: int = NO_EPOCH) -> None:
        self.session = session
        self.epoch = epoch
        self._last = 0

    def renew(self, session: int) -> None:
        """Another session begins; the epoch stays."""
        self.session = session
        self._last = 0

    def accepts(self, stamp: Stamp, event: Event | None = None) -> bool:
        """Whether a message (for an event: this one) is to be acted on; counts it as come."""
        if stamp.session != self.session:
            return False
        if stamp.sequence != NOT_SENT:
            if stamp.sequence <= self._last:
                return False
            self._last = stamp.sequence
        return not self.outdated(stamp.epoch, event)

    def outdated(self, epoch: int, event: Event | None = None) -> bool:
        """Whether a newer epoch was opened, and the message is not for good."""
        return epoch != NO_EPOCH and epoch < self.epoch and event != Finished("stop")
