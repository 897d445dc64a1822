"""A segmentation of any size, with coarser levels, so that any part is drawn quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.document.spilling import MEMORY, SpillingPool

SIDE = 512
"""Of a chunk along the last two axes, in pixels."""
_COARSEST = 1024
"""The last level has planes of at most this many pixels along each side."""


class WholeLabels(ChunkedLabels):
    """A small level as one array, which is given away itself and not as a copy.

    Of a layer with levels and two axes, napari asks once for all of the coarsest level, and draws
    what it got then: it must be what is written later.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape, max(shape))
        self._values = np.zeros(self.shape, np.uint8)

    def read(self, box: Box) -> npt.NDArray[np.uint8]:
        """Values of a box: a new array."""
        return self._values[box.slices].copy()

    def write(self, box: Box, values: npt.NDArray[np.generic]) -> None:
        """Write the values of a box."""
        self._values[box.slices] = values

    def written(self) -> Iterator[Box]:
        """All of it."""
        yield Box.whole(0, self.shape)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Any:
        """The array itself."""
        return self._values.astype(dtype or np.uint8, copy=bool(copy))


class LabelPyramid:
    """uint8 values: level 0 as large as the image, each further one half as large along Y and X.

    Coarser levels hold every second value: class values have no mean.

    Parameters
    ----------
    shape
        Of the image, without channels.
    memory
        Bytes that stay in memory; the rest goes to disk.
    failed
        Called with a sentence if the disk cannot be written, on another thread.
    """

    def __init__(
        self,
        shape: Sequence[int],
        memory: int = MEMORY,
        failed: Callable[[str], object] | None = None,
    ) -> None:
        pool = SpillingPool(memory, failed)
        self._pool = pool
        shapes = [tuple(shape)]
        # napari takes a single level for an image without levels
        while len(shapes) < 2 or max(shapes[-1][-2:]) > _COARSEST:
            *leading, height, width = shapes[-1]
            shapes.append((*leading, -(-height // 2), -(-width // 2)))
        self.levels = [
            ChunkedLabels(s, SIDE, pool.store(s, (1,) * (len(s) - 2) + (SIDE, SIDE)))
            for s in shapes
        ]
        """Finest first."""
        if len(shape) == 2 and len(shapes) > 1:
            self.levels[-1] = WholeLabels(shapes[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of level 0."""
        return self.levels[0].shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def write(self, box: Box, values: npt.NDArray[np.uint8]) -> None:
        """Write the values of a box inside the shape, to every level."""
        write_levels(self.levels, box, values)

    def read(self, box: Box) -> npt.NDArray[np.uint8]:
        """Values of a box of level 0."""
        return self.levels[0].read(box)

    def flush(self) -> None:
        """Wait until nothing is on its way to disk."""
        self._pool.flush()


def write_levels(levels: Sequence[ChunkedLabels], box: Box, values: npt.NDArray[np.uint8]) -> None:
    """Write the values of a box of level 0 to all levels of a `LabelPyramid`."""
    for number, level in enumerate(levels):
        step = 1 << number
        start = tuple(-(-a // step) for a in box.start[-2:])
        stop = tuple(-(-b // step) for b in box.stop[-2:])
        there = Box(box.source, (*box.start[:-2], *start), (*box.stop[:-2], *stop))
        if there.empty:
            return  # no pixel of this level, nor of coarser ones, lies in the box
        first = [s * step - a for s, a in zip(start, box.start[-2:], strict=True)]
        level.write(there, values[..., first[0] :: step, first[1] :: step])
