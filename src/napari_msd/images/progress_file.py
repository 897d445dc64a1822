"""Which boxes of an unfinished result are on disk, and which process writes it.

One line of JSON says what the result is, one line each which boxes are done. A line that was not
finished when its process was killed does not count.
"""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from napari_msd.core.box import Box
from napari_msd.images.box_union import BoxUnion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PROGRESS, _OWNER = "progress.jsonl", "owner.json"
_CLOCK = 60.0
"""Seconds by which the time at which a process started may seem to change: clocks are set."""

_SILENT_S = 600.0
"""After so many seconds without a box, a process on another machine counts as ended."""


class ProgressFile:
    """What is done of a result in a folder.

    Parameters
    ----------
    folder
        Where it is noted.
    identity
        What must agree for an unfinished result to be gone on with; ready for JSON.
    shape
        Of the image, as boxes address it.

    Raises
    ------
    BlockingIOError
        If another process, or this one, is writing there.
    OSError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], shape: Sequence[int]) -> None:
        self._folder, self._identity, self._shape = folder, dict(identity), tuple(shape)
        self._path = folder / _PROGRESS
        self._done = BoxUnion()
        owner = folder / _OWNER
        if _is_alive(owner, self._path):
            raise BlockingIOError
        me = psutil.Process()
        about = {"host": platform.node(), "process": me.pid, "started": me.create_time()}
        owner.write_text(json.dumps(about), "utf-8")
        self.known = self._read()
        if not self.known:
            self._path.write_text(json.dumps(self._identity) + "\n", "utf-8")
        self._file = self._path.open("a", encoding="utf-8")

    known: bool
    """Whether an earlier process has begun the same result."""

    @property
    def anything(self) -> bool:
        """Whether any box is done."""
        return bool(self._done)

    def is_done(self, box: Box) -> bool:
        """Whether all of a box is done."""
        return self._done.covers(box)

    def note(self, box: Box) -> None:
        """A box is done."""
        self._file.write(json.dumps([box.start, box.stop]) + "\n")
        self._file.flush()
        self._done.add(box)

    def forget(self) -> None:
        """Nothing is done: what was noted is not there."""
        self._done = BoxUnion()
        self._file.close()
        self._path.write_text(json.dumps(self._identity) + "\n", "utf-8")
        self._file = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Another process may write here."""
        self._file.close()
        with suppress(OSError):
            (self._folder / _OWNER).unlink()

    def _read(self) -> bool:
        """Read what an earlier process has noted; False if it was another result."""
        try:
            lines = self._path.read_text("utf-8").splitlines()
            if not lines or json.loads(lines[0]) != self._identity:
                return False
        except (OSError, ValueError, RecursionError):
            return False
        for line in lines[1:]:
            try:
                start, stop = json.loads(line)
                box = Box(0, tuple(map(int, start)), tuple(map(int, stop)))
            except (ValueError, TypeError, OverflowError, RecursionError):
                continue
            if box.ndim == len(self._shape) and box.clip(self._shape) == box:
                self._done.add(box)
        return True


def _now(beside: Path) -> float:
    """The time on the clock of a folder's file system; two machines' clocks may differ."""
    probe = beside.with_name("now")
    probe.touch()
    now = probe.stat().st_mtime
    probe.unlink()
    return now


def _is_alive(owner: Path, progress: Path) -> bool:
    """Whether the process that a file names is running; numbers of processes are used again.

    That of a process on another machine is not known here: it counts as long as it goes on.
    """
    try:
        told = json.loads(owner.read_text("utf-8"))
        if told.get("host", platform.node()) != platform.node():
            return abs(_now(owner) - progress.stat().st_mtime) < _SILENT_S
        started = psutil.Process(int(told["process"])).create_time()
        return bool(abs(started - float(told["started"])) < _CLOCK)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, AttributeError, psutil.Error):
        return False
