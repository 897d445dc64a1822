"""The shared memory through which predicted labels reach the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.planes import PlaneKey, Region
from napari_msd.worker.messages import Event, OverlayBlock


class OverlaySlot:
    """One tile's labels on their way to the viewer.

    The viewer owns the memory, copies a tile out, and says so (`taken`); until
    then nothing new is written. So a slow viewer gets fewer tiles, never a queue.
    """

    def __init__(self, memory: Any, emit: Callable[[Event], None]) -> None:
        self._memory = memory  # keeps the shared memory mapped
        self._labels: npt.NDArray[np.uint8] = memory.ndarray()
        self._emit = emit
        self.free = True

    def send(
        self, plane: PlaneKey, region: Region, labels: npt.NDArray[np.uint8], step: int
    ) -> None:
        """Hand over the labels of `region`, at most SLOT_SIDE x SLOT_SIDE."""
        self._labels[: labels.size] = labels.ravel()
        self.free = False
        self._emit(OverlayBlock(plane, region, step))

    def taken(self) -> None:
        """The viewer has copied the tile."""
        self.free = True
