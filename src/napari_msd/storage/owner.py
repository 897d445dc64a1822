"""Who has a session file open for writing.

The file itself says so. A lock of the operating system would be lost on many network drives, and
does not tell who holds it.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from pathlib import Path

import msgspec
import psutil

from napari_msd.core.errors import shown
from napari_msd.storage.operation_codec import Text

HEARTBEAT = 30.0
"""Seconds after which an owner says again that it is there."""

ABANDONED_AFTER = 300.0
"""Seconds without a word after which an owner on another machine counts as gone."""

_open_here: set[str] = set()
"""Tokens of the files that this process has open."""


class Owner(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A claim: machine, process and its identity, a random token, time of the last word."""

    host: Text
    pid: int
    process: Text
    token: Text
    seen: float

    def seen_now(self) -> Owner:
        """The same claim, said again."""
        return msgspec.structs.replace(self, seen=time.time())


def claim() -> Owner:
    """A claim of this process, which holds until it is `released`."""
    token = secrets.token_hex(8)
    _open_here.add(token)
    pid = os.getpid()
    return Owner(platform.node(), pid, _identity(pid) or "", token, time.time())


def released(owner: Owner) -> None:
    """The file is no longer open in this process."""
    _open_here.discard(owner.token)


def is_open(owner: Owner | None) -> bool:
    """Whether this owner may still be writing."""
    if owner is None:
        return False
    if owner.host != platform.node():
        # a clock that is wrong by more than this, on either machine, also means "gone"
        return abs(time.time() - owner.seen) < ABANDONED_AFTER
    if owner.pid == os.getpid():
        return owner.token in _open_here
    return _identity(owner.pid) == owner.process


def place_of(owner: Owner) -> str:
    """Where the file is open, in words."""
    if owner.host != platform.node():
        return f"on the machine {shown(owner.host)}"
    if owner.pid == os.getpid():
        return "in this napari"
    return f"in another napari window (process {owner.pid})"


def _identity(pid: int) -> str | None:
    """What tells a process from a later one with the same number; ``None`` if there is none.

    Linux tells the start of a process in ticks since the machine's start; psutil turns it into a
    time of day, which is another one after the clock was set.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    except (OSError, IndexError):
        pass
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.1f}"
    except (psutil.Error, ValueError, OverflowError):
        return None
