"""Reading images at a fraction of their resolution, from a pyramid where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.source import ReducedReader

Pixels = npt.NDArray[np.generic]
Read = Callable[[Box], Pixels]
"""Reads a box: pixels of its shape, with the channels behind if there are several."""

BAND_PIXELS = 2**22
"""Read at once by `read_reduced`, so that a large image is never in memory as a whole."""


def read_reduced(read: Read, box: Box, scale: int) -> Pixels:
    """Pixels of a box where `scale` x `scale` pixels of the last two axes are one: their mean.

    Parameters
    ----------
    read
        Reads boxes. If it can read thinned (`ReducedReader`), that is what it is asked for.
    box, scale
        See `ReducedReader.reduced`.
    """
    if scale == 1:
        return read(box)
    if isinstance(read, ReducedReader):
        return read.reduced(box, scale)
    return _in_bands(read, box, scale)


def _in_bands(read: Read, box: Box, scale: int) -> Pixels:
    """Means of a box that is read band by band."""
    if scale == 1:
        return read(box)
    axis = box.ndim - 2
    rows = max(scale, BAND_PIXELS // max(1, box.size // box.shape[axis]) // scale * scale)
    bands = [
        _means(read(box.along(axis, top, min(top + rows, box.stop[axis]))), axis, scale)
        for top in range(box.start[axis], box.stop[axis], rows)
    ]
    return np.concatenate(bands, axis=axis)


def _means(pixels: Pixels, axis: int, scale: int) -> Pixels:
    """Means of `scale` x `scale` pixels along `axis` and the next, float32."""
    out: npt.NDArray[np.float32] = pixels.astype(np.float32)
    for along in (axis, axis + 1):
        n = out.shape[along]
        cuts = np.arange(0, n, scale)
        sizes = np.minimum(cuts + scale, n) - cuts
        sums = np.add.reduceat(out, cuts, axis=along)
        shape = [1] * out.ndim
        shape[along] = len(sizes)
        out = np.divide(sums, sizes.reshape(shape), dtype=np.float32)
    return out


@dataclass(frozen=True)
class PyramidReader:
    """Reads an image that is stored at several resolutions: a `ReducedReader`.

    Parameters
    ----------
    levels
        Arrays, finest first. Each further one is smaller along Y and X, and may be along other
        axes (of volumes often Z); channels lie behind.
    ndim
        Number of axes without channels.
    """

    levels: Sequence[Any]  # whatever has a shape and slices, see `ArraySource`
    ndim: int

    def __call__(self, box: Box, /) -> Pixels:
        """Pixels of a box at full resolution."""
        return np.asarray(self.levels[0][box.slices])

    def reduced(self, box: Box, scale: int, /) -> Pixels:
        """Thinned pixels of a box, from the coarsest level that is fine enough."""
        factor, level = max(
            (found for found in self._factors() if found[0] <= scale), key=lambda found: found[0]
        )
        start = tuple(a // factor for a in box.start[-2:])
        stop = tuple(-(-b // factor) for b in box.stop[-2:])
        leading = [self._entries_of(level, box, axis) for axis in range(self.ndim - 2)]
        before = [int(entries[0]) for entries in leading]
        after = [int(entries[-1]) + 1 for entries in leading]
        there = Box(box.source, (*before, *start), (*after, *stop)).clip(level.shape[: self.ndim])
        pixels = _in_bands(lambda part: np.asarray(level[part.slices]), there, scale // factor)
        for along, entries in enumerate(leading):
            pixels = np.take(pixels, entries - entries[0], along)
        axis = self.ndim - 2
        # a level may have a row or column less than the reduced shape: its last one is repeated
        for along, n in enumerate(box.reduced_shape(scale)[-2:], axis):
            pixels = np.take(pixels, np.minimum(np.arange(n), pixels.shape[along] - 1), along)
        return pixels

    def _entries_of(self, level: Any, box: Box, axis: int) -> npt.NDArray[np.intp]:
        """Where a level holds the box's entries of an axis before Y and X, or those nearest."""
        n, there = self.levels[0].shape[axis], level.shape[axis]
        middles = 2 * np.arange(box.start[axis], box.stop[axis]) + 1
        return middles * int(there) // (2 * int(n))

    def _factors(self) -> Iterator[tuple[int, Any]]:
        """The levels that are a power of two smaller, and by how much."""
        first = self.levels[0].shape[self.ndim - 2 : self.ndim]
        for level in self.levels:
            shape = level.shape[self.ndim - 2 : self.ndim]
            factor = round(first[0] / max(1, shape[0]))
            fits = all(abs(n - m * factor) <= factor for n, m in zip(first, shape, strict=True))
            if fits and factor & (factor - 1) == 0:
                yield factor, level
