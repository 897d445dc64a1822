"""An open session file: transactions, claims, moves. Only one thread uses it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from typing import TYPE_CHECKING

import msgspec

from napari_msd.core.errors import SessionError, SessionInUse, shown
from napari_msd.images.leftovers import unfinished
from napari_msd.storage.database import companions, connect, reason, rollback
from napari_msd.storage.owner import HEARTBEAT, Owner, is_open, place_of, released
from napari_msd.storage.reading import read_owner
from napari_msd.storage.records import put_value
from napari_msd.storage.rows import seal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from weakref import ref

    from napari_msd.document import Annotation
    from napari_msd.storage.records import Ledger, Record

SYNC = 2.0
"""Seconds of work that a power cut may take. A killed process loses none of what was committed.

Waiting for the disk (fsync) at every commit would be four times a second while somebody paints;
on hard disks and network drives that disturbs every program that uses them.
"""


class TakenOverError(Exception):
    """Another process has claimed the file. Never leaves this package."""


class Store:
    """A session file that this process has claimed.

    Parameters
    ----------
    path
        The file.
    connection
        To it.
    owner
        The claim, which is written already.
    ledger
        What is known of its rows.
    annotations
        What the annotations hold now, by number; may be changed by others.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        owner: Owner,
        ledger: Ledger,
        annotations: dict[int, ref[Annotation]],
    ) -> None:
        self.path = path
        self.ledger = ledger
        self._connection: sqlite3.Connection | None = connection
        self._owner = owner
        self._annotations = annotations
        self._synced_at = time.monotonic()
        self._unsynced = False
        self._beat_at = time.monotonic() + HEARTBEAT

    @property
    def housekeeping_at(self) -> float:
        """When `keep_house` is due, as `time.monotonic`."""
        return min(self._beat_at, self._synced_at + SYNC) if self._unsynced else self._beat_at

    def write(self, records: Sequence[Record]) -> float:
        """Write records in one transaction; its time, as `time.time`.

        Raises
        ------
        sqlite3.Error, OSError, TakenOverError
            If that is not possible; nothing has changed then.
        """
        connection = self.require_connection()
        full = time.monotonic() >= self._synced_at + SYNC
        connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        ledger = self.ledger.copy()
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._require_claim(connection)
            for record in records:
                record.write(connection, ledger)
            self._write_amounts(connection, ledger)
            when = self._write_state(connection, ledger, ended=False)
            self._commit(connection)
        finally:
            rollback(connection)
        self.ledger = ledger
        self._unsynced = not full
        if full:
            self._synced_at = time.monotonic()
        self._beat_at = time.monotonic() + HEARTBEAT
        return when

    def keep_house(self) -> None:
        """Let the disk catch up, and say that the file is still in use."""
        now = time.monotonic()
        self._beat_at = now + HEARTBEAT
        self._synced_at, self._unsynced = now, False
        connection = self.require_connection()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._require_claim(connection)
            self._write_owner(connection)
            self._commit(connection)
        finally:
            rollback(connection)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def recover(self, error: Exception) -> None:
        """After a failure: open the file anew the next time, unless only the disk was full.

        Of a file that was removed the connection is all that is left.
        """
        full = isinstance(error, sqlite3.Error) and _is_full(error)
        if self._connection is not None and not full and _exists(self.path):
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def require_connection(self) -> sqlite3.Connection:
        """A connection to the file at `path`.

        Raises
        ------
        sqlite3.Error, OSError
            If there is none.
        """
        if not _exists(self.path):
            if self._connection is None or not self.path.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            # removed or renamed by someone, and still open here: written anew
            self._go_on_at(self.path)
        elif self._connection is None:
            self._connection = begin(self.path)
        assert self._connection is not None
        return self._connection

    def move(self, path: Path, *, overwrite: bool) -> None:
        """Go on in another file, and remove this one.

        Raises
        ------
        SessionError
            If that is not possible; nothing has changed then.
        """
        if path == self.path:
            return
        try:
            if _exists(path):
                if not overwrite:
                    raise SessionError(
                        f"There is a file {shown(path.name)} already; choose another name."
                    )
                require_unused(path)
            self.require_connection()
            old = self.path
            self._go_on_at(path)
        except (sqlite3.Error, OSError) as error:
            raise SessionError(
                f"The session cannot be saved as {shown(str(path))}: {reason(error)}."
            ) from error
        remove(old)

    def close(self, *, ended: bool) -> None:
        """Let go of the file.

        Parameters
        ----------
        ended
            Whether everything was written, so that it counts as closed properly. If it holds
            nothing then, it is removed.
        """
        try:
            with contextlib.suppress(sqlite3.Error, OSError, TakenOverError):
                if ended:
                    self._finish(self.require_connection())
        finally:
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None
            released(self._owner)
        if ended and self._is_empty():
            with contextlib.suppress(OSError):
                remove(self.path)

    # --- inside --------------------------------------------------------------------------

    def _finish(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        ledger = self.ledger.copy()
        ledger.touched = set(self._annotations)
        changed = ledger.state.changed
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._require_claim(connection)
            self._write_amounts(connection, ledger)
            self._write_state(connection, ledger, ended=True, changed=changed)
            connection.execute("DELETE FROM session WHERE key = 'owner'")
            self._commit(connection)
        finally:
            rollback(connection)
        # one file without companions can be copied, and read from where nothing may be written
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()

    def _is_empty(self) -> bool:
        ledger = self.ledger
        if any(rows for _, rows in ledger.histories.values()):
            return False
        return not any(
            strokes and self._painted(number) != 0 for number, strokes in ledger.strokes.items()
        )

    def _painted(self, annotation: int) -> int | None:
        """Painted pixels of an annotation; ``None`` if nobody knows."""
        reference = self._annotations.get(annotation)
        known = reference() if reference is not None else None
        return sum(known.counts.values()) if known is not None else None

    def _write_amounts(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        for number in ledger.touched:
            strokes = ledger.strokes.get(number, 0)
            painted = self._painted(number)
            if painted is None:
                connection.execute(
                    "INSERT INTO amount VALUES (?, 0, ?) "
                    "ON CONFLICT (annotation) DO UPDATE SET strokes = excluded.strokes",
                    (number, strokes),
                )
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO amount VALUES (?, ?, ?)", (number, painted, strokes)
                )

    def _write_state(
        self,
        connection: sqlite3.Connection,
        ledger: Ledger,
        *,
        ended: bool,
        changed: float | None = None,
    ) -> float:
        when = time.time()
        ledger.state = msgspec.structs.replace(
            ledger.state, changed=when if changed is None else changed, ended=ended
        )
        put_value(connection, "state", seal("session state", ledger.state))
        self._write_owner(connection)
        return when

    def _write_owner(self, connection: sqlite3.Connection) -> None:
        self._owner = self._owner.seen_now()
        put_value(connection, "owner", seal("session owner", self._owner))

    def _require_claim(self, connection: sqlite3.Connection) -> None:
        owner = read_owner(connection)
        if owner is not None and owner.token != self._owner.token:
            raise TakenOverError(f"the session was opened {place_of(owner)}; close it there")

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Alone, so that tests can fill a disk."""
        connection.execute("COMMIT")

    def _go_on_at(self, path: Path) -> None:
        """Copy the file to `path`, all of it or nothing, and use that from now on."""
        connection = self._connection
        assert connection is not None
        beside = unfinished(path)
        try:
            target = sqlite3.connect(beside, isolation_level=None)
            try:
                connection.backup(target, pages=1000)
                target.execute("PRAGMA journal_mode = DELETE").fetchall()
            finally:
                target.close()
            _sync(beside)
            for companion in companions(path):
                companion.unlink(missing_ok=True)
            beside.replace(path)
        finally:
            for left in (beside, *companions(beside)):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
        moved = begin(path)
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        self._connection, self.path = moved, path


def begin(path: Path) -> sqlite3.Connection:
    """A connection to write to a file through.

    Raises
    ------
    sqlite3.Error
        If it cannot be opened.
    """
    connection = connect(path, "rw")
    try:
        # a network drive may not know WAL; SQLite says so and goes on with a rollback journal
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def require_unused(path: Path) -> None:
    """Refuse a file that is open somewhere; one that is no session is nobody's.

    Raises
    ------
    SessionInUse
        If it is.
    """
    try:
        connection = connect(path, "ro")
        try:
            owner = read_owner(connection)
        finally:
            connection.close()
    except sqlite3.Error:
        return
    if owner is not None and is_open(owner):
        raise in_use(path, owner)


def in_use(path: Path, owner: Owner) -> SessionInUse:
    """The error for a file that is open somewhere."""
    return SessionInUse(
        f"The session {shown(path.name)} is open {place_of(owner)}; close it there, or open "
        "another one."
    )


def remove(path: Path) -> None:
    """Delete a file and what SQLite keeps beside it; raises `OSError`."""
    path.unlink(missing_ok=True)
    for companion in companions(path):
        companion.unlink(missing_ok=True)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
    )


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
