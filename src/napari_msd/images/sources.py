"""Sources made of arrays, of each other, and seen in another mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.axes import AxisOrder, as_array
from napari_msd.core.box import Box
from napari_msd.core.source import ReducedReader
from napari_msd.core.space import Mode, Space

Pixels = npt.NDArray[np.generic]


@dataclass(frozen=True)
class ArraySource:
    """An array in memory, on disk or computed when it is read: NumPy, dask, zarr, tensorstore.

    Parameters
    ----------
    array
        Anything that has a `shape` and gives NumPy arrays, or what `np.asarray` takes, for slices.
        Its axes are those of `space`, and the channels behind if there are several.
    space
        Its axes and channels.
    """

    array: Any  # whatever has slices: these libraries share no type
    space: Space

    def read(self, box: Box) -> Pixels:
        """Pixels of a box, see `napari_msd.core.source.Source`."""
        return np.asarray(self.array[box.slices])


@dataclass(frozen=True)
class AxesSource:
    """An array whose axes are in any order, with or without channels; create it with `of`.

    Parameters
    ----------
    array
        As of `ArraySource`; nothing is read before it is asked for.
    order
        Its axes as they are.
    space
        The axes in the order of boxes.
    """

    array: Any
    order: AxisOrder
    space: Space

    @classmethod
    def of(
        cls,
        array: Any,
        axes: str | None = None,
        *,
        pixel_size: Sequence[float] | None = None,
        units: Sequence[str] | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> AxesSource:
        """Name the axes of an array.

        Parameters
        ----------
        array
            Anything with `shape`, `dtype` and slices, or that NumPy can make an array of.
        axes
            One letter per axis, see `napari_msd.core.axes.AxisOrder.of`.
        pixel_size, units
            Of each axis, in the array's order; ``None`` if unknown.
        channel_names
            Of each channel; ``None`` if they have none.

        Raises
        ------
        ImageError
            If the letters do not fit the array, or it is not an image.
        """
        if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
            array = as_array(array, "image")
        order = AxisOrder.of(array.shape, np.dtype(array.dtype), axes)
        return cls(array, order, order.space(pixel_size, units, channel_names))

    def read(self, box: Box) -> Pixels:
        """Pixels of a box, see `napari_msd.core.source.Source`."""
        return self.order.in_space(np.asarray(self.array[self.order.slices(box)]))

    def choose_channels(self, numbers: Sequence[int]) -> AxesSource:
        """The same image with some of its channels, in the order given, from 0 on."""
        space = _with_channels(self.space, numbers)
        return _ChosenChannels(self.array, self.order, space, tuple(numbers))


@dataclass(frozen=True)
class _ChosenChannels(AxesSource):
    chosen: tuple[int, ...]

    def choose_channels(self, numbers: Sequence[int]) -> AxesSource:
        """Some of the channels that were chosen."""
        space = _with_channels(self.space, numbers)
        return replace(self, space=space, chosen=tuple(self.chosen[k] for k in numbers))

    def read(self, box: Box) -> Pixels:
        pixels = super().read(box)
        if pixels.ndim == box.ndim:  # one channel only
            pixels = pixels[..., None]
        chosen = pixels[..., list(self.chosen)]
        return chosen[..., 0] if len(self.chosen) == 1 else chosen


def _with_channels(space: Space, numbers: Sequence[int]) -> Space:
    names = space.channel_names
    chosen = None if names is None else tuple(names[k] for k in numbers)
    return replace(space, n_channels=len(numbers), channel_names=chosen)


BAND_PIXELS = 2**22
"""Read at once by `read_reduced`, so that a large image is never in memory as a whole."""


def read_reduced(read: Callable[[Box], Pixels], box: Box, scale: int) -> Pixels:
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


def with_context(
    read: Callable[[Box], Pixels], space: Space, context: int
) -> Callable[[Box], Pixels]:
    """A reader that adds the slices beside each slice as further channels (2.5-D).

    Parameters
    ----------
    read
        Reads the image itself.
    space
        Of the image; the last three axes are Z, Y and X.
    context
        Number of slices on each side.

    Returns
    -------
    callable
        Gives (..., Y, X, channels): all channels of the slice `context` before first, those of the
        slice `context` after last. Beyond the ends of the stack it goes on as its mirror image.
    """
    axis, n = space.ndim - 3, space.shape[-3]

    def read_with_neighbours(box: Box) -> Pixels:
        first, last = box.start[axis], box.stop[axis]
        wanted = [_mirrored(z, n) for z in range(first - context, last + context)]
        low, high = min(wanted), max(wanted) + 1
        pixels = read(box.along(axis, low, high))
        if pixels.ndim == box.ndim:
            pixels = pixels[..., None]
        slices = np.take(pixels, [z - low for z in wanted], axis=axis)
        n_slices = last - first
        parts = [
            slices[(slice(None),) * axis + (slice(i, i + n_slices),)]
            for i in range(2 * context + 1)
        ]
        return np.concatenate(parts, axis=-1)

    return read_with_neighbours


def in_mode(
    read: Callable[[Box], Pixels], space: Space, mode: Mode, context: int = 1
) -> tuple[Callable[[Box], Pixels], Space]:
    """Reader and axes of an image as a network of this mode sees it."""
    seen = space.in_mode(mode, context)
    return (with_context(read, space, seen.context) if seen.context else read), seen


def channels_together(reads: Sequence[Callable[[Box], Pixels]]) -> Callable[[Box], Pixels]:
    """A reader of several images of the same axes, whose channels become those of one image."""
    if len(reads) == 1:
        return reads[0]

    def read(box: Box) -> Pixels:
        parts = [part(box) for part in reads]
        return np.concatenate(
            [part[..., None] if part.ndim == box.ndim else part for part in parts], axis=-1
        )

    return read


def _mirrored(index: int, n: int) -> int:
    """The index inside ``0..n-1`` that `index` is the mirror image of, about the first and last."""
    if n == 1:
        return 0
    index %= 2 * (n - 1)
    return min(index, 2 * (n - 1) - index)
