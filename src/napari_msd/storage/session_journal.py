"""The journal of one annotation in a session file."""

from __future__ import annotations

import sqlite3
import weakref
from typing import TYPE_CHECKING

from napari_msd.core.errors import SessionError, shown
from napari_msd.document import Entry
from napari_msd.storage import walking
from napari_msd.storage.database import connect, reason
from napari_msd.storage.folding import operation_of
from napari_msd.storage.limits import MemoryGuard, UnreadableError
from napari_msd.storage.operation_codec import parts
from napari_msd.storage.records import Append, Rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_msd.document import Annotation
    from napari_msd.document.operations import Operation
    from napari_msd.storage.writer import Writer

_LONGEST_WAIT = 10.0
"""Seconds to wait for the disk before reading."""


class SessionJournal:
    """Appends to, and replays, the operations of an annotation; see `napari_msd.document.Journal`.

    Parameters
    ----------
    writer
        Of the file.
    annotation
        Its number there.
    last
        Number of its newest entry.
    annotations
        Where to say what is painted, by the number of the annotation.

    Notes
    -----
    After compaction, or `rewrite`, fewer entries say the same; their numbers begin with 1 again.
    """

    def __init__(
        self,
        writer: Writer,
        annotation: int,
        last: int,
        annotations: dict[int, weakref.ref[Annotation]],
    ) -> None:
        self._writer = writer
        self._annotation = annotation
        self._last = last
        self._annotations = annotations

    @property
    def last(self) -> int:
        """Number of the newest entry; 0 while there is none."""
        return self._last

    def append(self, operation: Operation) -> Entry:
        """Take down an operation; written within half a second, by another thread."""
        for part in parts(operation):
            self._last += 1
            self._writer.put(Append(self._annotation, self._last, part))
        return Entry(self._last, operation)

    def replay(self, after: int = 0) -> Iterator[Entry]:
        """All entries with numbers greater than `after`, in order, from the file.

        Raises
        ------
        SessionError
            If they cannot be read.
        """
        if after < 0:
            raise ValueError(f"entries are numbered from 1, so none comes after {after}")
        path = self._writer.path
        if not self.flush(_LONGEST_WAIT):
            raise SessionError(
                f"The session {shown(path.name)} cannot be read while it cannot be written; free "
                "some space on its disk."
            )
        guard = MemoryGuard(f"The session {shown(path.name)}")
        try:
            connection = connect(path, "ro")
            try:
                query = walking.ENTRIES.format(annotation=self._annotation)
                for number, kind, data in walking.walk(connection, query, _damaged, after):
                    operation = operation_of(self._annotation, number, kind, data, guard)
                    yield Entry(number, operation)
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            raise SessionError(
                f"The session {shown(path.name)} cannot be read: {reason(error)}."
            ) from error
        except UnreadableError as error:
            raise SessionError(
                f"The session {shown(path.name)} is damaged; close it and open it again to save "
                "what can be read."
            ) from error

    def rewrite(self, operations: Iterable[Operation]) -> None:
        """Replace all entries by these, in one transaction."""
        split = tuple(part for operation in operations for part in parts(operation))
        self._last = len(split)
        self._writer.put(Rewrite(self._annotation, split))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything is on disk; whether it is, after at most `timeout` seconds."""
        return self._writer.flush(timeout)

    def follow(self, annotation: Annotation) -> None:
        """What the entries paint; it is not kept alive."""
        self._annotations[self._annotation] = weakref.ref(annotation)


def _damaged() -> None:
    raise UnreadableError("some entries cannot be read")
