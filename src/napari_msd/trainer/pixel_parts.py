"""Pixels in parts: so large that they are quick, so small that a stroke never waits for long."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_msd.core.box import Box
from napari_msd.trainer.arrays import Pixels, portable
from napari_msd.trainer.requests import PixelsPart

PART_BYTES = 1 << 20
"""Of one part: about a millisecond on its way (``benchmarks/channel.py``)."""


def parts_of(box: Box, pixels: Pixels, scale: int = 1) -> Iterator[PixelsPart]:
    """Pixels of a slab as messages; at least one.

    Raises
    ------
    MemoryError
        If they have to be copied first, and there is too little memory.
    """
    array = portable(pixels)
    flat = array.reshape(-1)
    n = PART_BYTES // array.dtype.itemsize
    for offset in range(0, max(flat.size, 1), n):
        yield PixelsPart(box, array.shape, offset, flat[offset : offset + n], scale)


class PixelAssembly:
    """Puts slabs together from their parts."""

    def __init__(self) -> None:
        self._slabs: dict[tuple[Box, int], Pixels] = {}

    def add(self, part: PixelsPart) -> Pixels | None:
        """Take a part; returns the slab's pixels with the last one."""
        if part.offset == 0:
            self._slabs[part.box, part.scale] = np.empty(part.shape, part.values.dtype)
        pixels = self._slabs.get((part.box, part.scale))
        if pixels is None:  # its beginning was for another epoch
            return None
        end = part.offset + part.values.size
        pixels.reshape(-1)[part.offset : end] = part.values
        return self._slabs.pop((part.box, part.scale)) if end == pixels.size else None
