"""Replaces a long log of operations by the fewest that say the same, in short pieces."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from napari_msd.core.errors import MSDError
from napari_msd.document import requests_of
from napari_msd.storage import walking
from napari_msd.storage.database import rollback
from napari_msd.storage.folding import Fold
from napari_msd.storage.limits import MemoryGuard
from napari_msd.storage.records import DELETE_ENTRIES, INSERT_ENTRY, entry_row

if TYPE_CHECKING:
    from collections.abc import Generator

PIECE = 50
"""Rows between two chances to stop: a few milliseconds."""

_VACUUM_PAGES = 256


def compact(
    connection: sqlite3.Connection, annotation: int, name: str
) -> Generator[None, None, int]:
    """Rewrite the operations of an annotation in one transaction, if that is worth it.

    Runs a piece further with every `next`. Closed before its end, it has changed nothing.

    Parameters
    ----------
    connection
        To a file that nobody else writes to.
    annotation
        Its number.
    name
        Of the file, for errors.

    Returns
    -------
    int
        Entries by now; as many as before if they were not worth it, or not all readable.

    Raises
    ------
    sqlite3.Error
        If the file cannot be written; nothing has changed then.
    """
    fold = Fold(annotation, MemoryGuard(name))

    def lost() -> None:
        fold.lost += 1

    query = walking.ENTRIES.format(annotation=annotation)
    try:
        for row in walking.walk(connection, query, lost):
            fold.take(*row)
            if not fold.entries % PIECE:
                yield
    except MSDError:  # too little memory: another time
        return fold.entries
    if fold.lost:
        return fold.entries
    document = fold.document
    chunks = sum(1 for _ in document.annotation.chunks())
    fewest = len(document.sources) + 1 + len(document.classes) + chunks
    if 2 * fewest >= fold.entries:  # the new rows' numbers must also stay below those to come
        return fold.entries
    number = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(DELETE_ENTRIES, (annotation,))
        for number, operation in enumerate(requests_of(document), 1):
            connection.execute(INSERT_ENTRY, entry_row(annotation, number, operation))
            if not number % PIECE:
                yield
        connection.execute("COMMIT")
    finally:
        rollback(connection)
    return number


def shrink(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Give the pages that became free back to the disk, a piece with every `next`."""
    while True:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if not free:
            break
        connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        yield
        (now,) = connection.execute("PRAGMA freelist_count").fetchone()
        if now >= free:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
