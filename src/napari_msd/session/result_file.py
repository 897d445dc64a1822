"""Writes predicted blocks to a file as they come, on a thread of its own.

A file that can be gone on with (OME-Zarr) says which parts are done: only the others are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from napari_msd.core.errors import MSDError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_msd.core.box import Box
    from napari_msd.core.source import Sink
    from napari_msd.session.connection import CallSoon

_MOST_WAITING = 128
"""Blocks that wait for the disk before the caller does: 32 MB or so."""
_PATIENCE_S = 0.1
"""The longest that the caller waits for the disk with one block."""


@runtime_checkable
class Resumable(Protocol):
    """A sink that can be gone on with, see `napari_msd.images.zarr_sink.OmeZarrSink`."""

    def is_done(self, box: Box) -> bool:
        """Whether all of a box was written, also by an earlier process."""

    def leave(self) -> None:
        """Stop writing; opening the same result again goes on from here."""


@dataclass(frozen=True)
class Ended:
    """How it ended.

    Parameters
    ----------
    error
        A sentence; empty if the file is written, or was left at the person's wish.
    complete
        Whether the file has its name now.
    resumable
        If not: whether it can be gone on with.
    done
        Share (0..1) of the image that is in it.
    """

    error: str
    complete: bool
    resumable: bool
    done: float


class ResultFile:
    """A file that is being written.

    Parameters
    ----------
    open_sink
        Opens it; may take long, and is called on another thread.
    tiles
        All of the image, in parts that are asked for as a whole.
    ready
        Called with those tiles that are missing.
    ended
        Called when nothing more is written.
    call_soon
        Calls a function on the session's thread; those two come through it.
    """

    def __init__(
        self,
        open_sink: Callable[[], Sink],
        tiles: Sequence[Box],
        ready: Callable[[list[Box]], None],
        ended: Callable[[Ended], None],
        call_soon: CallSoon,
    ) -> None:
        self._open_sink, self._tiles = open_sink, tiles
        self._ready, self._ended, self._call_soon = ready, ended, call_soon
        self._blocks: SimpleQueue[tuple[Box, npt.NDArray[np.uint8], bool] | bool] = SimpleQueue()
        """With each block: whether it has a place among `_MOST_WAITING`."""
        self._room = BoundedSemaphore(_MOST_WAITING)
        self._finished = False
        self._n_pixels = sum(tile.size for tile in tiles)
        # not a daemon: closing the window must not tear a block
        self._thread = Thread(target=self._run, name="napari-msd-result", daemon=False)
        self._thread.start()

    def put(self, box: Box, labels: npt.NDArray[np.uint8]) -> None:
        """Write a block. The caller waits for a slow disk, but never so long that it is felt."""
        if not self._finished:
            counted = self._room.acquire(timeout=_PATIENCE_S)
            self._blocks.put((box, labels, counted))

    def finish(self, *, complete: bool) -> None:
        """Write what has come, then close the file, or leave it as it is if not `complete`."""
        if not self._finished:
            self._finished = True
            self._blocks.put(complete)

    def join(self) -> None:
        """Wait until nothing more is written."""
        self._thread.join()

    # --- the other thread --------------------------------------------------------------------

    def _run(self) -> None:
        done = 0.0
        try:
            sink = self._open_sink()
        except Exception as error:  # libraries of formats raise anything
            self._end(Ended(_sentence(error), False, False, done))
            return
        resumable = isinstance(sink, Resumable)
        try:
            missing = self._missing(sink)
            n_done = self._n_pixels - sum(tile.size for tile in missing)
            done = n_done / max(1, self._n_pixels)
            self._say(lambda: self._ready(missing))
            while not isinstance(block := self._blocks.get(), bool):
                box, labels, counted = block
                sink.write(box, labels)
                if counted:
                    self._room.release()
                n_done += box.size
                done = min(1.0, n_done / max(1, self._n_pixels))
            if block:
                if resumable:
                    left = sum(tile.size for tile in self._missing(sink))
                    done = 1 - left / max(1, self._n_pixels)
                sink.close()
            else:
                _leave(sink)
            self._end(Ended("", block, resumable, done))
        except Exception as error:
            _leave(sink)
            self._end(Ended(_sentence(error), False, resumable, done))

    def _missing(self, sink: Sink) -> list[Box]:
        if isinstance(sink, Resumable):
            return [tile for tile in self._tiles if not sink.is_done(tile)]
        return list(self._tiles)

    def _end(self, how: Ended) -> None:
        self._finished = True
        self._say(lambda: self._ended(how))

    def _say(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the window was closed
            self._call_soon(call)


def _leave(sink: Sink) -> None:
    try:
        if isinstance(sink, Resumable):
            sink.leave()
        else:
            sink.discard()
    except Exception:  # the first error is the one to be told
        pass


def _sentence(error: Exception) -> str:
    if isinstance(error, MSDError):
        return str(error)
    return f"The file could not be written: {error}"
