"""Sources made of arrays, of each other, and seen in another mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_msd.core.axes import AxisOrder, as_array
from napari_msd.core.box import Box
from napari_msd.core.space import Mode, Space
from napari_msd.images.reduced import Pixels, Read, read_reduced


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
        if not is_lazy(array):
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


def is_lazy(array: object) -> bool:
    """Whether slices of an array can be read without the rest: dask, zarr, tensorstore."""
    if isinstance(array, np.ndarray | np.generic):
        return False
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        return False
    try:
        np.dtype(array.dtype)  # type: ignore[attr-defined]
    except TypeError:  # a tensor of another library
        return False
    return True


def _with_channels(space: Space, numbers: Sequence[int]) -> Space:
    names = space.channel_names
    chosen = None if names is None else tuple(names[k] for k in numbers)
    return replace(space, n_channels=len(numbers), channel_names=chosen)


def with_context(read: Read, space: Space, context: int) -> Read:
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
    return _WithContext(read, space.ndim - 3, space.shape[-3], context)


@dataclass(frozen=True)
class _WithContext:
    """See `with_context`."""

    read: Read
    axis: int
    n_slices: int
    context: int

    def __call__(self, box: Box, /) -> Pixels:
        return self._stacked(self.read, box)

    def reduced(self, box: Box, scale: int, /) -> Pixels:
        return self._stacked(lambda part: read_reduced(self.read, part, scale), box)

    def _stacked(self, read: Read, box: Box) -> Pixels:
        axis, context = self.axis, self.context
        first, last = box.start[axis], box.stop[axis]
        wanted = [_mirrored(z, self.n_slices) for z in range(first - context, last + context)]
        low, high = min(wanted), max(wanted) + 1
        pixels = read(box.along(axis, low, high))
        if pixels.ndim == box.ndim:
            pixels = pixels[..., None]
        slices = np.take(pixels, [z - low for z in wanted], axis=axis)
        parts = [
            slices[(slice(None),) * axis + (slice(i, i + last - first),)]
            for i in range(2 * context + 1)
        ]
        return np.concatenate(parts, axis=-1)


def in_mode(read: Read, space: Space, mode: Mode, context: int = 1) -> tuple[Read, Space]:
    """Reader and axes of an image as a network of this mode sees it."""
    seen = space.in_mode(mode, context)
    return (with_context(read, space, seen.context) if seen.context else read), seen


def channels_together(reads: Sequence[Read]) -> Read:
    """A reader of several images of the same axes, whose channels become those of one image."""
    return reads[0] if len(reads) == 1 else _Together(tuple(reads))


@dataclass(frozen=True)
class _Together:
    """See `channels_together`."""

    reads: tuple[Read, ...]

    def __call__(self, box: Box, /) -> Pixels:
        return _joined([read(box) for read in self.reads], box.ndim)

    def reduced(self, box: Box, scale: int, /) -> Pixels:
        return _joined([read_reduced(read, box, scale) for read in self.reads], box.ndim)


def _joined(parts: list[Pixels], ndim: int) -> Pixels:
    return np.concatenate(
        [part[..., None] if part.ndim == ndim else part for part in parts], axis=-1
    )


def _mirrored(index: int, n: int) -> int:
    """The index inside ``0..n-1`` that `index` is the mirror image of, about the first and last."""
    if n == 1:
        return 0
    index %= 2 * (n - 1)
    return min(index, 2 * (n - 1) - index)
