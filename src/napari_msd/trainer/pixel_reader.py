"""Reads pixels on threads of its own, so that a slow disk or network holds nothing up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_msd.images.reduced import read_reduced
from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.epoch_state import EpochState, PixelsRequest
from napari_msd.trainer.lanes import Lanes

READERS = 2
"""Threads that read one image: while one waits for the drive, the other decodes."""


@dataclass(frozen=True)
class PixelRead:
    """Pixels of a slab, or why they could not be read."""

    wanted: PixelsRequest
    pixels: Pixels | None
    why: str = ""


class PixelReader:
    """A queue of boxes to read, in turn; those wanted ahead come last.

    Each epoch has threads of its own: a drive or an address that does not answer must not hold up
    the image that is chosen instead.

    Parameters
    ----------
    deliver
        Called with every result, on a thread of its epoch.
    is_open
        Whether an epoch is still the one worked on: slabs of others are not read.
    """

    def __init__(
        self, deliver: Callable[[PixelRead], None], is_open: Callable[[EpochState], bool]
    ) -> None:
        self._deliver = deliver
        self._is_open = is_open
        self._lock = threading.Lock()
        self._epoch: EpochState | None = None
        self._wanted: Lanes[PixelsRequest] = Lanes()
        self._closed = False

    def read(self, wanted: PixelsRequest) -> None:
        """Read a slab when its turn comes; what earlier epochs wanted is forgotten."""
        with self._lock:
            if self._closed:
                return
            if wanted.epoch is not self._epoch:
                self._wanted.close()
                self._epoch, self._wanted = wanted.epoch, Lanes()
                for _ in range(READERS):
                    threading.Thread(
                        target=self._loop, args=(self._wanted,), name="pixel-reader", daemon=True
                    ).start()
            self._wanted.put(wanted, urgent=not wanted.ahead)

    def close(self) -> None:
        """End after the slab in hand. Nobody waits for it: a closing window must not freeze."""
        with self._lock:
            self._closed = True
            self._wanted.close()

    def _loop(self, lanes: Lanes[PixelsRequest]) -> None:
        while (wanted := lanes.take()) is not None:
            if self._is_open(wanted.epoch):
                self._deliver(_read(wanted))


def _read(wanted: PixelsRequest) -> PixelRead:
    try:
        pixels = np.asarray(read_reduced(wanted.epoch.read, wanted.box, wanted.scale))
        if pixels.size == 0:
            return PixelRead(wanted, None, "it has no pixels")
        return PixelRead(wanted, pixels)
    except Exception as error:  # any reader of any image format may fail in its own way
        return PixelRead(wanted, None, str(error) or type(error).__name__)
