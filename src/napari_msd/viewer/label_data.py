"""Where class values of new layers live: in NumPy arrays, or in chunks for large images.

A NumPy array is the quickest, and it costs memory only where it is written. Of a large image that
would still be too much, and napari would redraw whole planes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.core.box import Box
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.document.part import LazyPart
from napari_msd.document.pyramid import LabelPyramid, write_levels
from napari_msd.document.spilling import SpillingPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_msd.trainer.messages import OverlayBlock

LARGE_PIXELS = 1 << 28
"""Images with more pixels get chunks; 512 planes of 724 x 724 are as many."""

FINER = 4
"""A coarse answer is written to levels up to so many times finer: one of them is drawn."""

LARGE_PLANE = 1 << 25
"""So do images with larger planes, in pixels; napari would redraw all of one at once."""


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether class values of an image of this shape are kept in chunks."""
    return prod(shape) > LARGE_PIXELS or prod(shape[-2:]) > LARGE_PLANE


def new_strokes(shape: tuple[int, ...]) -> NDArray[np.uint8] | ChunkedLabels:
    """An empty array for strokes, which napari can edit; memory follows what is painted."""
    # uint8 holds every class value and takes an eighth of the memory of napari's default int64
    return ChunkedLabels(shape) if is_large(shape) else np.zeros(shape, np.uint8)


def new_result(
    shape: tuple[int, ...], failed: Callable[[str], object] | None = None
) -> NDArray[np.uint8] | list[LazyPart]:
    """An empty array, or the levels of a large one, for what is predicted.

    Parameters
    ----------
    shape
        Of the image, without channels.
    failed
        Called with a sentence, on another thread, if the disk has no room for a large one.
    """
    if is_large(shape):
        return [LazyPart(level) for level in LabelPyramid(shape, failed=failed).levels]
    return np.zeros(shape, np.uint8)


def finest(data: Any) -> Any:
    """The array at full resolution of a layer's data; ``None`` if it is not ours."""
    return data if isinstance(data, np.ndarray) else next(iter(_levels(data)), None)


def copied(data: Any) -> NDArray[np.uint8] | ChunkedLabels:
    """A copy at full resolution of a layer's data; of a large one, what is not in use is on disk.

    Raises
    ------
    MemoryError
        If there is too little memory.
    """
    if isinstance(data, np.ndarray):
        return np.array(data, np.uint8)
    array = _levels(data)[0]
    store = SpillingPool().store(array.shape, array.chunks)
    copy = ChunkedLabels(array.shape, array.chunks[-1], store)
    for box in array.written():
        copy.write(box, array.read(box))
    return copy


def is_ours(data: Any) -> bool:
    """Whether a layer's data can be written here: someone may have replaced them."""
    return isinstance(data, np.ndarray) or len(_levels(data)) > 0


def _levels(data: Any) -> list[ChunkedLabels]:
    """The levels of a layer's data; none if they are not ours."""
    parts = list(data) if isinstance(data, Sequence) else []
    return [part.array for part in parts if isinstance(part, LazyPart)]


def write(data: Any, box: Box, values: NDArray[np.uint8]) -> None:
    """Write a box of what is predicted to a layer's data, with levels or without."""
    if isinstance(data, np.ndarray):
        data[box.slices] = values
    else:
        write_levels(_levels(data), box, values)


def write_first_answer(
    data: Any, block: OverlayBlock, parts: list[Box]
) -> list[tuple[Box, NDArray[np.uint8]]]:
    """Write a coarse answer to the parts of its box where nothing was predicted in full.

    Of a large image it goes to coarser levels only: those that are drawn when so much is in view.
    The finest level holds nothing but what was predicted at full resolution.

    Parameters
    ----------
    data
        Of the layer.
    block
        Its `scale` is above 1.
    parts
        Of its box.

    Returns
    -------
    list
        The parts, with labels of their shape.
    """
    levels: list[NDArray[np.uint8] | ChunkedLabels] = (
        [data] if isinstance(data, np.ndarray) else [*_levels(data)]
    )
    for number, level in enumerate(levels):
        step = 1 << number
        if step * FINER >= block.scale or number == len(levels) - 1:
            for part in parts:
                there, labels = _thinned(block, part, step)
                if isinstance(level, np.ndarray):
                    level[there.slices] = labels
                else:
                    level.write(there, labels)
    return [_thinned(block, part, 1) for part in parts] if len(levels) == 1 else []


def _thinned(block: OverlayBlock, part: Box, step: int) -> tuple[Box, NDArray[np.uint8]]:
    """A part of a coarse answer, of which every `step`-th pixel is wanted; and where that lies."""
    start = (-(-a // step) for a in part.start[-2:])
    stop = (-(-b // step) for b in part.stop[-2:])
    there = Box(part.source, (*part.start[:-2], *start), (*part.stop[:-2], *stop))
    rows, columns = (
        (np.arange(a, b) * step - first) // block.scale
        for a, b, first in zip(there.start[-2:], there.stop[-2:], block.box.start[-2:], strict=True)
    )
    return there, block.labels[..., rows[:, None], columns]
