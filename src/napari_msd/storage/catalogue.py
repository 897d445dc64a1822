"""Lists sessions without opening them for writing."""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_msd.core.errors import SessionError, shown
from napari_msd.images.atomic import explain
from napari_msd.storage import schema, walking
from napari_msd.storage.database import reason
from napari_msd.storage.elsewhere import elsewhere, sessions_folder
from napari_msd.storage.file_names import file_stem
from napari_msd.storage.limits import UnreadableError
from napari_msd.storage.opening import SUFFIX, read_only, require_file
from napari_msd.storage.owner import is_open
from napari_msd.storage.reading import read_owner, read_state
from napari_msd.storage.rows import AnnotationRow, image_of, unseal
from napari_msd.storage.store import remove, require_unused

if TYPE_CHECKING:
    from collections.abc import Callable

_DAMAGED = re.compile(r".*\.damaged-[0-9]+")


@dataclass(frozen=True)
class SessionSummary:
    """What a list says of a session.

    Parameters
    ----------
    id
        Eight hexadecimal digits; empty if the file cannot be read.
    path, size
        The file and its bytes, with what is kept beside it.
    last_change
        As `time.time`; of the file if it does not say.
    images, annotations
        Names of layers.
    painted
        Painted pixels.
    strokes
        How often something was painted.
    in_use
        Whether it is open somewhere.
    ended_properly
        Whether it was closed.
    problem
        A sentence if it cannot be read.
    """

    id: str
    path: Path
    last_change: float
    images: list[str]
    annotations: list[str]
    painted: int
    strokes: int
    size: int
    in_use: bool
    ended_properly: bool
    problem: str = ""


def new_path(stem: str) -> Path:
    """A name for a new session of this moment, which no file has yet.

    Parameters
    ----------
    stem
        Any text, like an image's name.
    """
    moment = time.strftime("%Y-%m-%d %H%M")
    folder, number = sessions_folder(), 1
    while True:
        again = f" {number}" if number > 1 else ""
        path = folder / f"{file_stem(stem, 'session')} {moment}{again}{SUFFIX}"
        if not path.exists():
            return path
        number += 1


def summaries(folder: Path | None = None) -> list[SessionSummary]:
    """All sessions, the newest first, also those that cannot be read.

    Parameters
    ----------
    folder
        Look only there; by default in `sessions_folder`, and at those saved elsewhere.
    """
    paths = _sessions_in(sessions_folder() if folder is None else folder)
    if folder is None:
        paths += [path for path in elsewhere() if path.suffix == SUFFIX and path not in paths]
    found = [summary for path in paths if (summary := summary_of(path)) is not None]
    return sorted(found, key=lambda summary: summary.last_change, reverse=True)


def interrupted() -> list[SessionSummary]:
    """Sessions with strokes that were not closed, nor are open, the newest first."""
    return [
        summary
        for summary in summaries()
        if summary.painted
        and not (summary.in_use or summary.ended_properly or summary.problem)
        and not _DAMAGED.fullmatch(summary.path.stem)
    ]


def discard(path: Path) -> None:
    """Delete a session.

    Raises
    ------
    SessionError
        If it is open somewhere, cannot be deleted, or has not the name of a session.
    """
    require_file(path)
    if path.suffix != SUFFIX:
        raise SessionError(f"{shown(path.name)} is not a session ({SUFFIX}); it is not deleted.")
    require_unused(path)
    try:
        remove(path)
    except OSError as error:
        raise SessionError(
            f"The session {shown(path.name)} cannot be deleted: {explain(error)}."
        ) from error


def summary_of(path: Path) -> SessionSummary | None:
    """What a list says of a file; ``None`` if it is not there."""
    try:
        about = path.stat()
        size = about.st_size + _size_beside(path)
    except OSError:
        return None
    try:
        with read_only(path) as connection:
            version = schema.require_session(connection, f"The session {shown(path.name)}")
            if version != schema.VERSION:
                raise SessionError(f"{shown(path.name)} is of an older version; open it.")
            return _summary(connection, path, size)
    except SessionError as error:
        problem = str(error)
    except (sqlite3.Error, OSError) as error:
        problem = f"The session {shown(path.name)} cannot be read: {reason(error)}."
    return SessionSummary("", path, about.st_mtime, [], [], 0, 0, size, False, False, problem)


def _summary(connection: sqlite3.Connection, path: Path, size: int) -> SessionSummary:
    state, owner = read_state(connection), read_owner(connection)
    if state is None:
        raise SessionError(
            f"The session {shown(path.name)} is damaged; open it to see what is left."
        )
    amounts = [
        (painted or 0, strokes or 0)
        for _, painted, strokes in walking.walk(connection, walking.AMOUNTS, lambda: None)
    ]
    return SessionSummary(
        state.id,
        path,
        state.changed,
        _names(connection, "image", walking.IMAGES, lambda *row: image_of(*row).name),
        _names(connection, "annotation", walking.ANNOTATIONS, _annotation_name),
        sum(painted for painted, _ in amounts),
        sum(strokes for _, strokes in amounts),
        size,
        is_open(owner),
        state.ended,
    )


def _annotation_name(place: str, body: object) -> str:
    return unseal(place, body, AnnotationRow).name


def _names(
    connection: sqlite3.Connection, table: str, query: str, name: Callable[[str, object], str]
) -> list[str]:
    names = []
    for number, body in walking.walk(connection, query, lambda: None):
        try:
            names.append(name(f"{table} {number}", body))
        except UnreadableError:
            names.append(f"{table} {number}")
    return names


def _sessions_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file())
    except OSError:
        return []


def _size_beside(path: Path) -> int:
    total = 0
    for companion in (path.with_name(f"{path.name}-wal"),):
        if companion.exists():
            total += companion.stat().st_size
    return total
