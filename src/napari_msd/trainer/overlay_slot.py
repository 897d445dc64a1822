"""The shared memory through which predicted labels reach the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey, Region
from napari_msd.trainer.limits import SLOT_BYTES
from napari_msd.trainer.messages import Event, OverlayBlock


class OverlaySlot:
    """One tile's labels on their way to the viewer, and how unsure they are when that is wanted.

    The viewer owns the memory, copies a tile out, and says so (`taken`); until
    then nothing new is written. So a slow viewer gets fewer tiles, never a queue.
    """

    def __init__(self, memory: Any, emit: Callable[[Event], None]) -> None:
        self._memory = memory  # keeps the shared memory mapped
        self._values: npt.NDArray[np.uint8] = memory.ndarray()
        self._emit = emit
        self.free = True

    def send(
        self,
        plane: PlaneKey,
        region: Region,
        step: int,
        network: str,
        labels: npt.NDArray[np.uint8],
        uncertainty: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Hand over what `network` predicted for `region`, at most SLOT_SIDE x SLOT_SIDE."""
        self._values[: labels.size] = labels.ravel()
        if uncertainty is not None:
            self._values[SLOT_BYTES : SLOT_BYTES + labels.size] = uncertainty.ravel()
        self.free = False
        unsure = uncertainty is not None
        self._emit(OverlayBlock(plane, region, step, unsure, network=network))

    def taken(self) -> None:
        """The viewer has copied the tile."""
        self.free = True
