"""How many predicted blocks may be on their way to the viewer."""

from __future__ import annotations

MOST_ON_THE_WAY = 2
"""Blocks: while the viewer takes one, the next is predicted."""


class OverlayCredit:
    """Counts blocks that were sent and not acknowledged.

    Without credit nothing is predicted, so a slow viewer gets fewer blocks, never a queue.
    """

    def __init__(self) -> None:
        self._on_the_way = 0

    @property
    def free(self) -> bool:
        """Whether another block may be sent."""
        return self._on_the_way < MOST_ON_THE_WAY

    def reset(self) -> None:
        """Another epoch: acknowledgements of the one before are dropped as stale."""
        self._on_the_way = 0

    def sent(self) -> None:
        """A block is on its way."""
        self._on_the_way += 1

    def taken(self) -> None:
        """The viewer has one."""
        self._on_the_way = max(0, self._on_the_way - 1)
