"""Reads what is left of a damaged file, from a copy."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

from napari_msd.core.errors import SessionDamaged, shown
from napari_msd.storage import schema
from napari_msd.storage.database import companions, connect, is_damage
from napari_msd.storage.reading import Parts, read_parts

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_PAGE_SIZE_AT = 16
_PAGES_AT = 28
_HEADER = 100
_MOST_MISSING = 2**28
"""Bytes that are made up for a file without its end."""


def salvaged(path: Path, folder: Path) -> Parts:
    """What can be read of a damaged file; the file itself is only read.

    Parameters
    ----------
    path
        The damaged file; nobody has it open.
    folder
        For a copy of it, which is removed again.

    Raises
    ------
    SessionDamaged
        If nothing can be read.
    SessionError
        If it is of a newer version, or does not fit into memory.
    OSError, sqlite3.Error
        If the disk does not allow it.
    """
    name = f"The session {shown(path.name)}"
    copy = folder / "copy"
    try:
        shutil.copyfile(path, copy)
        for original, companion in zip(companions(path), companions(copy), strict=True):
            if not companion.name.endswith("-shm"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(original, companion)
        _mend_header(copy)
        connection = connect(copy, "rw")
        try:
            version = schema.require_session(connection, name)
            schema.migrate(connection, version)
            parts = read_parts(connection, name)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise _hopeless(name) from error
    if not (parts.annotations or parts.histories):
        raise _hopeless(name)
    return parts


def _hopeless(name: str) -> SessionDamaged:
    return SessionDamaged(
        f"{name} is damaged, and nothing in it can be read; it is left as it is. Restore it from a "
        "backup if you have one."
    )


def _mend_header(path: Path) -> None:
    """Give a file as many pages as it states: SQLite refuses all of one that lacks its end.

    Missing pages are empty then. A file that states absurdly many is told how many there are.
    """
    with path.open("rb+") as file:
        header = bytearray(file.read(_HEADER))
        if len(header) < _HEADER or not header.startswith(_MAGIC):
            return
        size = int.from_bytes(header[_PAGE_SIZE_AT : _PAGE_SIZE_AT + 2], "big")
        size = 2**16 if size == 1 else size
        if size < 512:
            return
        stated = int.from_bytes(header[_PAGES_AT : _PAGES_AT + 4], "big")
        pages = -(-path.stat().st_size // size)
        if (stated - pages) * size <= _MOST_MISSING:
            pages = max(pages, stated)
        file.truncate(pages * size)
        file.seek(_PAGES_AT)
        file.write(pages.to_bytes(4, "big"))
