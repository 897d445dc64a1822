"""Recognises an image again by its shape and a few blocks of its pixels."""

from __future__ import annotations

import hashlib
import json
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_msd.core.box import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

BLOCK_SIDE = 32
"""Pixels along Y and X."""

_PLACES = 3
"""First, middle and last along every axis."""

_DIAGONALS = (((0, 0), (1, 1), (2, 2)), ((0, 2), (1, 1), (2, 0)), ((0, 0), (1, 1), (2, 2)))
"""Blocks of the first, the middle and the last slab: three of three by three each."""


def fingerprint(
    shape: Sequence[int],
    dtype: str,
    n_channels: int,
    read: Callable[[Box], NDArray[np.generic]],
) -> str:
    """SHA-256 over shape, type and at most nine blocks of 32 x 32 pixels.

    Parameters
    ----------
    shape
        Lengths of the axes in pixels, without channels; Y and X last.
    dtype
        NumPy's name of the type of the values.
    n_channels
        Values per pixel.
    read
        Gives the pixels of a box of source 0, with channels or without, always in the same order.

    Returns
    -------
    str
        64 hexadecimal digits; the same on every machine.
    """
    header = json.dumps([list(map(int, shape)), dtype, n_channels])
    digest = hashlib.sha256(header.encode())
    for box in blocks(shape):
        values = np.asarray(read(box))
        digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def blocks(shape: Sequence[int]) -> list[Box]:
    """The blocks to look at: all of three by three in an image, three in each of three slabs."""
    leading, plane = tuple(shape[:-2]), tuple(shape[-2:])
    slabs = list(dict.fromkeys(tuple(_place(n, 1, i) for n in leading) for i in range(_PLACES)))
    if len(slabs) == 1:
        looked_at = [(slabs[0], at) for at in product(range(_PLACES), repeat=2)]
    else:
        looked_at = [
            (slab, at) for slab, places in zip(slabs, _DIAGONALS, strict=False) for at in places
        ]
    found = []
    for slab, at in looked_at:
        start = tuple(_place(n, BLOCK_SIDE, i) for n, i in zip(plane, at, strict=True))
        stop = tuple(min(a + BLOCK_SIDE, n) for a, n in zip(start, plane, strict=True))
        found.append(Box(0, (*slab, *start), (*(i + 1 for i in slab), *stop)))
    return list(dict.fromkeys(found))


def _place(length: int, size: int, place: int) -> int:
    """Start of the first, middle or last `size` pixels of an axis."""
    return max(length - size, 0) * place // (_PLACES - 1)
