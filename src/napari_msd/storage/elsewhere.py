"""The folder of sessions, and which sessions were saved outside it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

import msgspec
import platformdirs

from napari_msd.core.errors import ExportError
from napari_msd.images.atomic import write_atomically

VARIABLE = "NAPARI_MSD_SESSIONS"
"""Environment variable that names another folder: for tests, and homes on slow networks."""

_LIST = "elsewhere.json"
_MOST = 200
_MOST_BYTES = 2**20


def sessions_folder() -> Path:
    """Where sessions are kept unless the person chose another place; it may not exist yet."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    return Path(platformdirs.user_data_dir("napari-msd", appauthor=False)) / "sessions"


def elsewhere() -> list[Path]:
    """Sessions that were saved in other folders, the newest last; they may be gone."""
    try:
        with (sessions_folder() / _LIST).open("rb") as file:
            names = msgspec.json.decode(file.read(_MOST_BYTES), type=list[str])
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return []
    return [path for name in names if (path := Path(name)).is_absolute()]


def remember(path: Path) -> None:
    """Note a session of another folder; not being able to is no reason to stop."""
    folder = sessions_folder()
    if path.parent == folder:
        return
    known = [other for other in elsewhere() if other != path]
    names = [str(each) for each in (*known, path)][-_MOST:]
    with contextlib.suppress(OSError, ExportError, ValueError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _LIST, lambda file: _write(file, names))


def _write(file: BinaryIO, names: list[str]) -> None:
    file.write(msgspec.json.encode(names))
