"""Opens SQLite files that may be damaged or forged, and says in words what went wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from napari_msd.images.atomic import explain

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT = 2.0
"""Seconds to wait for another process that is writing."""

BESIDE = ("-wal", "-shm", "-journal")
"""Ends of the names of files that SQLite keeps beside its file."""

_MAX_SQL = 100_000

_REASONS = {
    sqlite3.SQLITE_FULL: explain(OSError(errno.ENOSPC, "")),
    sqlite3.SQLITE_READONLY: explain(OSError(errno.EACCES, "")),
    sqlite3.SQLITE_CANTOPEN: "its folder cannot be written to, or is gone; choose another one",
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should; check its connection",
    sqlite3.SQLITE_BUSY: "another program is using the file; close that one",
    sqlite3.SQLITE_LOCKED: "another program is using the file; close that one",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is damaged",
}


def connect(
    path: Path, mode: Literal["ro", "rw"], *, unchanging: bool = False
) -> sqlite3.Connection:
    """A connection to an existing file.

    Parameters
    ----------
    path
        The file.
    mode
        ``"ro"`` never changes it.
    unchanging
        Nobody else writes to it, so it can be read from a folder that is read-only.

    Raises
    ------
    sqlite3.Error
        If it cannot be opened.
    """
    options = f"?mode={mode}" + ("&immutable=1" if unchanging else "")
    connection = sqlite3.connect(
        f"file://{_quoted(path)}{options}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _harden(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary code of an error, 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, rather than out of reach."""
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def reason(error: Exception) -> str:
    """Half a sentence on why SQLite or the system refused."""
    if isinstance(error, OSError):
        return explain(error)
    if isinstance(error, MemoryError):
        return "there is too little memory; close other programs"
    code = code_of(error) if isinstance(error, sqlite3.Error) else 0
    return _REASONS.get(code) or (str(error) or type(error).__name__).rstrip(".")


def rollback(connection: sqlite3.Connection) -> None:
    """End a transaction without its changes, if there is one."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def companions(path: Path) -> list[Path]:
    """The files that SQLite may keep beside a file."""
    return [path.with_name(path.name + end) for end in BESIDE]


def _harden(connection: sqlite3.Connection) -> None:
    """Nothing that a file brings along is run, and what is damaged is noticed early."""
    connection.text_factory = _as_text
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _MAX_SQL)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _quoted(path: Path) -> str:
    """The path in a `file:` address, also with blanks, drive letters and network shares."""
    name = os.fsencode(path.absolute())
    if os.name == "nt":
        name = name.replace(b"\\", b"/")
        if not name.startswith(b"/"):
            name = b"/" + name
    return quote(name, safe="/:")
