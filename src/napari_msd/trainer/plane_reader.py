"""Reads planes on a thread of its own, so that a slow disk or network holds nothing up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.epoch_state import EpochState, PlaneRequest
from napari_msd.trainer.lanes import Lanes


@dataclass(frozen=True)
class PlaneRead:
    """A plane's pixels, (Y, X) or (Y, X, C), or why they could not be read."""

    wanted: PlaneRequest
    pixels: Pixels | None
    why: str = ""


class PlaneReader:
    """A queue of planes to read, one after another; those wanted ahead come last.

    Parameters
    ----------
    deliver
        Called with every result, on the reader's thread.
    is_open
        Whether an epoch is still the one worked on: planes of others are not read.
    """

    def __init__(
        self, deliver: Callable[[PlaneRead], None], is_open: Callable[[EpochState], bool]
    ) -> None:
        self._deliver = deliver
        self._is_open = is_open
        self._wanted: Lanes[PlaneRequest] = Lanes()
        threading.Thread(target=self._loop, name="plane-reader", daemon=True).start()

    def read(self, wanted: PlaneRequest) -> None:
        """Read a plane when its turn comes."""
        self._wanted.put(wanted, urgent=not wanted.ahead)

    def close(self) -> None:
        """End after the plane in hand. Nobody waits for it: a closing window must not freeze."""
        self._wanted.close()

    def _loop(self) -> None:
        while (wanted := self._wanted.take()) is not None:
            if self._is_open(wanted.epoch):
                self._deliver(_read(wanted))


def _read(wanted: PlaneRequest) -> PlaneRead:
    try:
        pixels = np.asarray(wanted.epoch.read_plane(wanted.plane))
        if pixels.size == 0:
            return PlaneRead(wanted, None, "it has no pixels")
        return PlaneRead(wanted, pixels)
    except Exception as error:  # any reader of any image format may fail in its own way
        return PlaneRead(wanted, None, str(error) or type(error).__name__)
