"""Reads planes on a thread of its own, so that a slow disk or network holds nothing up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey
from napari_msd.trainer.session_memory import SessionMemory


@dataclass(frozen=True)
class PlaneRead:
    """A plane's pixels, (Y, X) or (Y, X, C), or why they are not to be had."""

    session: SessionMemory
    plane: PlaneKey
    pixels: npt.NDArray[np.generic] | None
    why: str = ""


class PlaneReader:
    """A queue of planes to read, one after another.

    Parameters
    ----------
    deliver
        Called with every result, on the reader's thread.
    """

    def __init__(self, deliver: Callable[[PlaneRead], None]) -> None:
        self._deliver = deliver
        self._wanted: queue.SimpleQueue[tuple[SessionMemory, PlaneKey] | None] = queue.SimpleQueue()
        threading.Thread(target=self._loop, name="plane-reader", daemon=True).start()

    def read(self, session: SessionMemory, plane: PlaneKey) -> None:
        """Read a plane of a session when its turn comes."""
        self._wanted.put((session, plane))

    def close(self) -> None:
        """End after the plane in hand. Nobody waits for it: a closing window must not freeze."""
        self._wanted.put(None)

    def _loop(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            self._deliver(_read(*wanted))


def _read(session: SessionMemory, plane: PlaneKey) -> PlaneRead:
    try:
        pixels = np.asarray(session.read_plane(plane))
        if pixels.size == 0:
            return PlaneRead(session, plane, None, "it has no pixels")
        return PlaneRead(session, plane, pixels)
    except Exception as error:  # any reader of any image format may fail in its own way
        return PlaneRead(session, plane, None, str(error) or type(error).__name__)
