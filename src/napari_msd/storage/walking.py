"""Reads the rows of a table that can be read, across those that cannot."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from napari_msd.storage.database import code_of, is_damage
from napari_msd.storage.limits import MAX_BODY, MAX_MODEL, MAX_PAINT_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LAST = 2**62
"""No row has a larger number."""

_MOST_GAPS = 10_000


def bounded(column: str, most: int) -> str:
    """SQL for the bytes of a column; null, without reading them, if they are too many."""
    return f"CASE WHEN typeof({column}) = 'blob' AND length({column}) <= {most} THEN {column} END"


def whole(column: str) -> str:
    """SQL for a whole number; null for anything else, without reading it."""
    return f"CASE WHEN typeof({column}) = 'integer' THEN {column} END"


_SMALL = bounded("body", MAX_BODY)

IMAGES = f"SELECT number, {_SMALL} FROM image WHERE number > ? ORDER BY number"
ANNOTATIONS = f"SELECT number, {_SMALL} FROM annotation WHERE number > ? ORDER BY number"
HISTORIES = f"SELECT number, {_SMALL} FROM history WHERE number > ? ORDER BY number"
AMOUNTS = (
    f"SELECT annotation, {whole('painted')}, {whole('strokes')} FROM amount "
    "WHERE annotation > ? ORDER BY annotation"
)
VERSIONS = (
    f"SELECT number, {bounded('about', MAX_BODY)}, {bounded('model', MAX_MODEL)} FROM version "
    "WHERE number > ? ORDER BY number"
)
VERSION_SIZES = (
    "SELECT number, CASE WHEN typeof(model) = 'blob' THEN length(model) END FROM version "
    "WHERE number > ? ORDER BY number"
)
ENTRIES = (
    f"SELECT number, {whole('kind')}, {bounded('body', MAX_PAINT_BODY)} FROM entry "
    "WHERE annotation = {annotation} AND number > ? ORDER BY number"
)
ENTRY_ANNOTATIONS = "SELECT annotation FROM entry WHERE annotation > ? ORDER BY annotation LIMIT 1"


def walk(
    connection: sqlite3.Connection, query: str, lost: Callable[[], None], after: int = 0
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, in order of their first column, a number above 0.

    Parameters
    ----------
    connection
        To a file that may be damaged.
    query
        Has one parameter: only rows with larger numbers.
    lost
        Called for each stretch of rows that cannot be read.
    after
        Begin with the next number.

    Raises
    ------
    sqlite3.Error
        If the file is out of reach.
    """
    position: int | None = after
    for _ in range(_MOST_GAPS):
        if position is None:
            return
        try:
            for row in connection.execute(query, (position,)):
                if not isinstance(row[0], int) or not position < row[0] <= _LAST:
                    lost()
                    continue
                position = row[0]
                yield row
        except sqlite3.DatabaseError as error:
            if not _unreadable(error):
                raise
            lost()
            position = _behind(connection, query, position)
        else:
            return


def _behind(connection: sqlite3.Connection, query: str, position: int) -> int | None:
    """From where rows can be read again; ``None`` if there is no such place."""

    def readable(start: int) -> bool:
        try:
            connection.execute(query, (start,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not _unreadable(error):
                raise
            return False
        return True

    bad, step = position, 1
    while not readable(position + step):
        bad, step = position + step, 2 * step
        if position + step > _LAST:
            return None
    good = position + step
    while good - bad > 1:
        middle = (good + bad) // 2
        if readable(middle):
            good = middle
        else:
            bad = middle
    return good


def _unreadable(error: sqlite3.DatabaseError) -> bool:
    return is_damage(error) or code_of(error) in (sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_ERROR)
