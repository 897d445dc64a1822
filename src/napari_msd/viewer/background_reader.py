"""Reads boxes of a lazy array on another thread: a chunk may take seconds to come."""

from __future__ import annotations

from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_msd.core.box import Box

_AHEAD = 2
"""Boxes that are read before somebody takes them: a chunk can be large."""
_STOPPED_S = 0.2
"""How often a reader that nobody takes from looks whether it was stopped."""


class BackgroundReader:
    """Reads boxes one after the other.

    Parameters
    ----------
    data
        Gives arrays for slices.
    boxes
        What to read; asked for on the other thread.
    """

    def __init__(self, data: Any, boxes: Iterable[Box]) -> None:
        self._data, self._boxes = data, boxes
        self._read: Queue[tuple[Box, NDArray[np.generic]]] = Queue(_AHEAD)
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="napari-msd-strokes", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether everything was taken."""
        return not self._thread.is_alive() and self._read.empty()

    def take(self) -> tuple[Box, NDArray[np.generic]] | None:
        """The next box and its values, if they are there."""
        try:
            return self._read.get_nowait()
        except Empty:
            return None

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()

    def _run(self) -> None:
        for box in self._boxes:
            if self._stopped.is_set():
                return
            try:
                values = np.asarray(self._data[box.slices])
            except Exception:  # a damaged chunk holds no strokes that can be read
                continue
            while not self._stopped.is_set():
                try:
                    self._read.put((box, values), timeout=_STOPPED_S)
                    break
                except Full:
                    continue
