"""Removes unfinished files of writers that were killed.

A file that is being written has a hidden name that identifies its writer, like
``.cells.tif.1f0c2d9a-4711-9a3be2c01d77.napari-msd-part``: the beginning of the target's name, the
machine, the process, a token. The file of a killed process is removed when something is next
written to that folder. Nothing else is removed: the folder may be a network drive to which other
machines write at the same time.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import secrets
import stat
import time
import zlib
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

LEFTOVER_AGE = 24 * 3600
"""Seconds without a change after which an unfinished file counts as abandoned."""

SWEEP_INTERVAL = 3600.0
"""Seconds until a process checks a folder again: a thousand results may be written to one."""

_SUFFIX = ".napari-msd-part"
_NAME = re.compile(
    r"\..{0,20}\.(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9a-f]{12}"
    + re.escape(_SUFFIX),
    re.DOTALL,
)
_NAME_LENGTH = 20
"""Characters of the target's name to use; some file systems allow only 143 bytes."""


_last_sweep: dict[str, float] = {}
"""Time (`time.monotonic`) at which this process last checked a folder."""


def unfinished(target: Path) -> Path:
    """A new hidden name beside `target`, for its content until it is complete."""
    token = f"{_machine()}-{os.getpid()}-{secrets.token_hex(6)}"
    return target.with_name(f".{target.name[:_NAME_LENGTH]}.{token}{_SUFFIX}")


def sweep(newest: Path) -> None:
    """Remove what killed processes left in the folder of `newest`, if it was not just done.

    Only regular files that have our kind of name, whose process does not run on this machine, and
    that did not change for `LEFTOVER_AGE` before `newest`: times of the same file system are
    compared, as the clocks of two machines may differ. What cannot be removed stays.

    Parameters
    ----------
    newest
        An unfinished file that was just created.
    """
    folder, moment = str(newest.parent), time.monotonic()
    if moment - _last_sweep.get(folder, -math.inf) < SWEEP_INTERVAL:
        return
    _last_sweep[folder] = moment
    with contextlib.suppress(OSError):
        now = newest.stat().st_mtime
        with os.scandir(newest.parent) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(_SUFFIX)]
        for name in names:
            path = newest.with_name(name)
            with contextlib.suppress(OSError, OverflowError):  # no process has this number
                if path != newest and _is_abandoned(path, now):
                    path.unlink()


def _is_abandoned(path: Path, now: float) -> bool:
    named = _NAME.fullmatch(path.name)
    if named is None:
        return False
    if named["machine"] == _machine() and psutil.pid_exists(int(named["process"])):
        return False
    about = path.lstat()
    return stat.S_ISREG(about.st_mode) and now - about.st_mtime > LEFTOVER_AGE


def _machine() -> str:
    """Eight characters that identify this machine."""
    return f"{zlib.crc32(platform.node().encode(errors='replace')):08x}"
