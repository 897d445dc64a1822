"""The operations of a document in their order: in memory, and what a durable one is like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from napari_msd.document.annotation import Annotation
from napari_msd.document.operations import Operation


@dataclass(frozen=True)
class Entry:
    """An operation with its sequence number, 1, 2, 3, ..."""

    number: int
    operation: Operation


class Journal(Protocol):
    """Appends operations, and tells them again in the same order.

    `append` never waits for a disk, because painting never blocks. A durable journal writes what
    was appended within half a second; `flush` waits until it is there.
    """

    @property
    def last(self) -> int:
        """Number of the newest entry; 0 while there is none."""

    def append(self, operation: Operation) -> Entry:
        """Take down an operation; it gets the next number."""

    def replay(self, after: int = 0) -> Iterator[Entry]:
        """All entries with numbers greater than `after`, in order."""

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all entries are as durable as they get.

        Parameters
        ----------
        timeout
            Seconds to wait at most; ``None`` waits as long as it takes.

        Returns
        -------
        bool
            Whether they are.
        """

    def follow(self, annotation: Annotation) -> None:
        """The entries are being made into this annotation.

        Whoever lists documents wants to know how much is painted without replaying them.
        """


class MemoryJournal:
    """A journal that lasts as long as the process.

    Parameters
    ----------
    operations
        What it begins with.
    """

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        self._operations: list[Operation] = list(operations)

    @property
    def last(self) -> int:
        """Number of the newest entry; 0 while there is none."""
        return len(self._operations)

    def append(self, operation: Operation) -> Entry:
        """Take down an operation; it gets the next number."""
        self._operations.append(operation)
        return Entry(self.last, operation)

    def replay(self, after: int = 0) -> Iterator[Entry]:
        """All entries with numbers greater than `after`, in order."""
        if after < 0:
            raise ValueError(f"entries are numbered from 1, so none comes after {after}")
        for number, operation in enumerate(self._operations[after:], after + 1):
            yield Entry(number, operation)

    def flush(self, timeout: float | None = None) -> bool:
        """Nothing to wait for."""
        return True

    def follow(self, annotation: Annotation) -> None:
        """Nobody lists what is in memory only."""
