"""Rows of operations become a document again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.document import Document, Entry, MemoryJournal
from napari_msd.document.operations import BindSource, Operation, PaintBox
from napari_msd.storage.limits import MemoryGuard, UnreadableError
from napari_msd.storage.operation_codec import decode
from napari_msd.storage.sealed import opened

if TYPE_CHECKING:
    from napari_msd.core.space import Space

_PER_OPERATION = 1000
"""Bytes that an operation may leave in a document, beside what it paints."""


class _Counting(MemoryJournal):
    """Counts operations and forgets them: they are in the file."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    @property
    def last(self) -> int:
        return self._number

    def append(self, operation: Operation) -> Entry:
        self._number += 1
        return Entry(self._number, operation)


class Fold:
    """The document of an annotation, while its rows are read in their order.

    Parameters
    ----------
    annotation
        Its number.
    guard
        Asked before memory is taken.
    space
        Of its image, in case the row that says so cannot be read.
    """

    def __init__(self, annotation: int, guard: MemoryGuard, space: Space | None = None) -> None:
        self._annotation = annotation
        self._guard = guard
        self._space = space
        self.document = Document(_Counting())
        self.last = 0
        """Number of the last row."""
        self.entries = 0
        self.strokes = 0
        """Operations that painted something."""
        self.lost = 0
        """Rows that could not be read, or made no sense."""

    def take(self, number: int, kind: object, data: object) -> None:
        """Do what a row says.

        Raises
        ------
        SessionError
            If memory is too small for it.
        """
        self.last = number
        self.entries += 1
        try:
            self._do(operation_of(self._annotation, number, kind, data, self._guard))
        except ValueError:
            self.lost += 1

    def _do(self, operation: Operation) -> None:
        self._guard.take(_PER_OPERATION)
        if isinstance(operation, PaintBox):
            source = operation.box.source
            if source not in self.document.sources and self._space is not None:
                self.document.do(BindSource(source, self._space))
                self.lost += 1
            self.strokes += 1
        self.document.do(operation)


def operation_of(
    annotation: int, number: int, kind: object, data: object, guard: MemoryGuard
) -> Operation:
    """The operation of a row of the table `entry`.

    Raises
    ------
    UnreadableError
        If it is damaged.
    SessionError
        If memory is too small for it.
    """
    if not isinstance(kind, int):
        raise UnreadableError("there are no such operations")
    return decode(kind, opened(place_of(annotation, number, kind), data), guard)


def place_of(annotation: int, number: int, kind: int) -> str:
    """Where the row of an operation belongs; see `napari_msd.storage.sealed`."""
    return f"entry {annotation} {number} {kind}"
