"""Creates, opens and reads session files; damaged ones as far as that goes."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from napari_msd.core.errors import SessionDamaged, SessionError, shown
from napari_msd.document import MemoryJournal, requests_of
from napari_msd.images.leftovers import unfinished
from napari_msd.storage import schema
from napari_msd.storage.database import companions, connect, is_damage, reason, rollback
from napari_msd.storage.limits import MemoryGuard
from napari_msd.storage.owner import Owner, claim, is_open, released
from napari_msd.storage.reading import Parts, read_owner, read_parts, read_state
from napari_msd.storage.records import (
    Ledger,
    PutAnnotation,
    PutImage,
    PutVersions,
    PutView,
    Rewrite,
    put_value,
)
from napari_msd.storage.rows import State, seal, view_body
from napari_msd.storage.salvage import salvaged
from napari_msd.storage.store import begin, in_use

if TYPE_CHECKING:
    from napari_msd.storage.content import SessionContent

SUFFIX = ".msdsession"


@dataclass(frozen=True)
class Opened:
    """A file that this process has claimed, and what it holds."""

    connection: sqlite3.Connection
    owner: Owner
    parts: Parts


def create(path: Path) -> Opened:
    """Make a new session file, and claim it.

    Raises
    ------
    SessionError
        If that is not possible, or a file of this name exists.
    """
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.open("xb").close()
    except (OSError, ValueError) as error:
        if isinstance(error, FileExistsError) and path.parent.is_dir():
            raise SessionError(
                f"There is a file {shown(path.name)} already; choose another name."
            ) from error
        raise _cannot("create", path, error) from error
    owner = claim()
    now = time.time()
    parts = Parts(State(token_hex(4), now, now))
    try:
        connection = _filled(path, parts, owner)
    except BaseException as error:
        released(owner)
        for left in (path, *companions(path)):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error | OSError):
            raise _cannot("create", path, error) from error
        raise
    return Opened(connection, owner, parts)


def open_claimed(path: Path) -> Opened:
    """Claim a session file and read it.

    What can be read of a damaged one is copied to a fresh file, and the damaged one is kept.

    Raises
    ------
    SessionInUse
        If it is open somewhere.
    SessionDamaged
        If it is no session, or nothing of it can be read.
    SessionError
        If it is out of reach, of a newer version, or does not fit into memory.
    """
    with _errors_in_words("open", path):
        require_file(path)
        damage = None
        parts = _read_unclaimed(path)
        if parts is not None and parts.damaged:
            damage = _replace_damaged(path)
            parts = _read_unclaimed(path)
        owner = claim()
        connection = None
        try:
            connection = begin(path)
            version = schema.require_session(connection, _name(path))
            before = _claim_in(connection, path, owner)
            schema.migrate(connection, version)
            if parts is None or before != parts.state:  # old, or written to meanwhile
                parts = read_parts(connection, _name(path))
        except BaseException:
            if connection is not None:
                _let_go(connection)
            released(owner)
            raise
        if damage is not None:
            parts.lost, parts.remarks = damage.lost, damage.remarks
        return Opened(connection, owner, parts)


def read(path: Path) -> SessionContent:
    """What a session file holds, also while another process has it open; it is not changed.

    Raises
    ------
    SessionDamaged
        If it is no session, or nothing of it can be read.
    SessionError
        If it is out of reach, of a newer version, or does not fit into memory.
    """
    with _errors_in_words("read", path):
        require_file(path)
        try:
            with read_only(path) as connection:
                version = schema.require_session(connection, _name(path))
                if version == schema.VERSION:
                    parts = read_parts(connection, _name(path))
                else:
                    parts = _read_older(connection, path, version)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            with tempfile.TemporaryDirectory(prefix="napari-msd-") as folder:
                parts = salvaged(path, Path(folder))
    return parts.content(lambda _, fold: MemoryJournal(requests_of(fold.document)))


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing; raises `sqlite3.Error` on entering."""
    connection = connect(path, "ro")
    try:
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.OperationalError as error:
            wal = companions(path)[0]
            if is_damage(error) or (wal.exists() and wal.stat().st_size):
                raise
            connection.close()
            connection = connect(path, "ro", unchanging=True)  # in a folder that is read-only
        connection.execute("BEGIN")  # one moment of a file that is being written
        yield connection
    finally:
        connection.close()


def require_file(path: Path) -> None:
    """Refuse what is not there, and folders and devices.

    Raises
    ------
    SessionError
        If it is no file.
    """
    try:
        if path.is_file():
            return
        there = path.exists()
    except (OSError, ValueError) as error:
        raise _cannot("open", path, error) from error
    if there:
        raise SessionError(f"{shown(str(path))} is not a file; choose a session ({SUFFIX}).")
    raise SessionError(f"There is no session {shown(str(path))}; choose another one.")


def _read_unclaimed(path: Path) -> Parts | None:
    """What a file holds, which is not changed by that; ``None`` for one of an older version.

    Refuses one that is in use. In one that SQLite finds damaged, something is lost.
    """
    try:
        with read_only(path) as connection:
            version = schema.require_session(connection, _name(path))
            owner = read_owner(connection)
            if owner is not None and is_open(owner):
                raise in_use(path, owner)
            found = connection.execute("PRAGMA quick_check(1)").fetchall()
            sound = [tuple(row) for row in found] == [("ok",)]
            if sound and version != schema.VERSION:
                return None
            parts = read_parts(connection, _name(path)) if sound else None
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        parts = None
    return Parts(State(token_hex(4), 0.0, 0.0), lost=Counter(file=1)) if parts is None else parts


def _claim_in(connection: sqlite3.Connection, path: Path, owner: Owner) -> State | None:
    """Write our claim, unless somebody else's holds; the state of the session."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        other = read_owner(connection)
        if other is not None and other.token != owner.token and is_open(other):
            raise in_use(path, other)
        state = read_state(connection)
        put_value(connection, "owner", seal("session owner", owner))
        connection.execute("COMMIT")
        return state
    finally:
        rollback(connection)


def _let_go(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        rollback(connection)
        connection.close()


def _read_older(connection: sqlite3.Connection, path: Path, version: int) -> Parts:
    """Read a file of an older version from a copy in memory with the present tables."""
    MemoryGuard(_name(path)).take(2 * path.stat().st_size)
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.rollback()
        connection.backup(memory)
        schema.migrate(memory, version)
        return read_parts(memory, _name(path))
    finally:
        memory.close()


def _replace_damaged(path: Path) -> Parts:
    """Put what can be read into a fresh file, and keep the damaged one beside it."""
    with tempfile.TemporaryDirectory(prefix=".napari-msd-", dir=path.parent) as folder:
        parts = salvaged(path, Path(folder))
    fresh = unfinished(path)
    kept = _free_name(path)
    try:
        fresh.open("xb").close()
        _filled(fresh, parts, None).close()
        for companion, beside in zip(companions(path), companions(kept), strict=True):
            with contextlib.suppress(FileNotFoundError):
                companion.rename(beside)
        path.rename(kept)
        fresh.rename(path)
        parts.remarks.append(
            f"{_name(path)} was damaged; what could be read is open now, and the damaged file "
            f"is kept as {shown(kept.name)}."
        )
        return parts
    finally:
        for left in (fresh, *companions(fresh)):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


def _free_name(path: Path) -> Path:
    number = 1
    while True:
        kept = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
        if not kept.exists():
            return kept
        number += 1


def _filled(path: Path, parts: Parts, owner: Owner | None) -> sqlite3.Connection:
    """Write a new file that holds these parts, into an empty one."""
    connection = connect(path, "rw")
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if owner is not None:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        schema.create(connection)
        put_value(connection, "state", seal("session state", parts.state))
        if owner is not None:
            put_value(connection, "owner", seal("session owner", owner))
        _write_parts(connection, parts)
        connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        _let_go(connection)
        raise
    return connection


def _write_parts(connection: sqlite3.Connection, parts: Parts) -> None:
    ledger = Ledger(parts.state)
    for number, reference in parts.images.items():
        PutImage(number, reference).write(connection, ledger)
    for number, row in parts.annotations.items():
        PutAnnotation(number, row).write(connection, ledger)
        fold = parts.folds[number]
        Rewrite(number, tuple(requests_of(fold.document))).write(connection, ledger)
        painted = sum(fold.document.annotation.counts.values())
        strokes = max(parts.strokes.get(number, 0), fold.strokes)
        connection.execute(
            "INSERT OR REPLACE INTO amount VALUES (?, ?, ?)", (number, painted, strokes)
        )
    for kept in parts.histories:
        history = kept.history
        PutVersions(kept.image, kept.network, tuple(history.versions), history.present).write(
            connection, ledger
        )
    if parts.view:
        PutView(view_body(parts.view)).write(connection, ledger)


@contextlib.contextmanager
def _errors_in_words(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, MemoryError, OverflowError) as error:
        if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
            raise SessionDamaged(
                f"{_name(path)} is damaged, and nothing in it can be read; it is left as it is."
            ) from error
        raise _cannot(verb, path, error) from error


def _cannot(verb: str, path: Path, error: Exception) -> SessionError:
    return SessionError(f"Cannot {verb} the session {shown(str(path))}: {reason(error)}.")


def _name(path: Path) -> str:
    return f"The session {shown(path.name)}"
