"""The tables of a session file, their version, and the steps from older ones.

Rows are keyed by whole numbers, and their content is one sealed MessagePack value
(`napari_msd.storage.sealed`): what a row says is checked in one place, not by the types of columns,
which SQLite does not enforce.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING

from napari_msd.core.errors import SessionDamaged, SessionError

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION_ID = 0x4D534453
"""Tells a session from other SQLite files ("MSDS")."""

VERSION = 2
"""Raise it with every change of `TABLES` or of what rows hold, and add the step from the version
before. Version 2 knows modes, channels and parts of arrays; rows of version 1 are read as they are.
"""

_FIRST = (
    # state, owner and view
    "CREATE TABLE session (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE image (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE annotation (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    # how much is painted, for lists of sessions
    "CREATE TABLE amount (annotation INTEGER PRIMARY KEY, painted INTEGER NOT NULL, "
    "strokes INTEGER NOT NULL)",
    # the operations of each annotation
    "CREATE TABLE entry (annotation INTEGER NOT NULL, number INTEGER NOT NULL, "
    "kind INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (annotation, number)) "
    "WITHOUT ROWID",
    # networks: each version once, and the order of those of an image and preset
    "CREATE TABLE version (number INTEGER PRIMARY KEY, about BLOB NOT NULL, model BLOB NOT NULL)",
    "CREATE TABLE history (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
)

TABLES: dict[int, tuple[str, ...]] = {1: _FIRST, 2: _FIRST}
"""How the tables of each version are made; also what a file's own tables are compared with."""

STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: lambda connection: None}
"""By version: what makes the next version's tables of it. Old tables must be gone after it."""

_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100"


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file, within a transaction.

    ``auto_vacuum`` must have been set before.
    """
    for statement in TABLES[VERSION]:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def require_session(connection: sqlite3.Connection, name: str) -> int:
    """The version of the tables of a file, which are exactly as this package makes them.

    Tables, views and triggers of others are never touched.

    Parameters
    ----------
    connection
        To the file.
    name
        Of the file, for the error's sentence.

    Raises
    ------
    SessionDamaged
        If it is no session file.
    SessionError
        If it is one of a newer version.
    sqlite3.Error
        If it cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise SessionDamaged(f"{name} is not a session of napari-msd; choose another file.")
    if version > VERSION:
        raise SessionError(f"{name} was made by a newer napari-msd; update napari-msd to open it.")
    if version not in TABLES or set(connection.execute(_OBJECTS)) != _expected(version):
        raise SessionDamaged(
            f"{name} has other tables than a session of napari-msd; it was not opened, and is "
            "left as it is."
        )
    return int(version)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring older tables up to date, all or none of them."""
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for older in range(version, VERSION):
        STEPS[older](connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


@cache
def _expected(version: int) -> frozenset[tuple[object, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        for statement in TABLES[version]:
            connection.execute(statement)
        return frozenset(connection.execute(_OBJECTS))
    finally:
        connection.close()
