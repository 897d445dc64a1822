"""The boxes of an annotation that are compared, in an order and of a size that suit its array."""

from __future__ import annotations

from itertools import chain, product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.core.box import Box
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.session.ports import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_msd.document.annotation import Annotation

PIECE_SIZE = 1 << 17
"""Pixels compared at once, in well under a millisecond."""


def pieces(box: Box) -> list[Box]:
    """Split a box into pieces that are quick to compare: whole rows, as many as fit."""
    return list(box.tiles(_piece_shape(box.shape)))


def whole_planes(shape: tuple[int, ...], shown: Box, known: Annotation) -> Iterator[Box]:
    """All of an array in memory, in pieces: the shown plane first, then planes with strokes."""
    painted = sorted(slab.index for slab in known.slabs)
    first = dict.fromkeys(painted)
    rest = (i for i in product(*map(range, shape[:-2])) if i not in first)
    yield from shown.tiles(_piece_shape(shown.shape))
    for index in chain(first, rest):
        plane = Box(SOURCE, (*index, 0, 0), (*(i + 1 for i in index), *shape[-2:]))
        yield from plane.tiles(_piece_shape(plane.shape))


def of_chunks(data: ChunkedLabels, shown: Box, known: Annotation) -> Iterator[Box]:
    """What is written in an array of chunks, and what was known as painted: all that can differ."""
    painted = [box.clip(data.shape) for box, _ in known.chunks()]
    boxes = [*data.written(), *painted]
    boxes.sort(key=lambda box: box.intersect(shown).empty)
    return iter(boxes)


def lazy_chunks(data: Any, shape: tuple[int, ...], shown: Box) -> Iterator[Box]:
    """Chunks of an array that is read from disk, or computed: those on screen first.

    Of zarr arrays in a folder, chunks that were never written are left out.
    """
    sizes = _chunk_sizes(data, shape)
    exists = _existence(data)
    edges = [np.concatenate([[0], np.cumsum(axis)]).tolist() for axis in sizes]

    def boxes() -> Iterator[tuple[tuple[int, ...], Box]]:
        for at in product(*(range(len(axis)) for axis in sizes)):
            start = tuple(edge[i] for edge, i in zip(edges, at, strict=True))
            stop = tuple(edge[i + 1] for edge, i in zip(edges, at, strict=True))
            yield at, Box(SOURCE, start, stop)

    for on_screen in (True, False):
        for at, box in boxes():
            if box.intersect(shown).empty != on_screen and exists(at):
                yield box


def _piece_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    size, room = [], PIECE_SIZE
    for n in reversed(shape):
        size.append(max(1, min(n, room)))
        room //= max(1, n)
    return tuple(size[::-1])


def _chunk_sizes(data: Any, shape: tuple[int, ...]) -> list[list[int]]:
    """Sizes of the chunks along each axis; dask and zarr say them in different ways."""
    chunks = getattr(data, "shards", None) or getattr(data, "chunks", None)
    if not isinstance(chunks, tuple) or len(chunks) != len(shape):
        chunks = _piece_shape(shape)
    sizes = []
    for n, size in zip(shape, chunks, strict=True):
        if isinstance(size, tuple):
            sizes.append(list(size))
        else:
            starts = range(0, n, max(1, int(size)))
            sizes.append([min(int(size), n - start) for start in starts])
    return sizes


def _existence(data: Any) -> Callable[[tuple[int, ...]], bool]:
    """Function that says whether a chunk exists; yes if that is not known."""
    root = getattr(getattr(data, "store", None), "root", None)
    encode = getattr(getattr(data, "metadata", None), "encode_chunk_key", None)
    fill = getattr(data, "fill_value", None)
    if root is None or encode is None or fill is None or fill != 0:
        return lambda at: True
    folder = root / data.path
    return lambda at: bool((folder / encode(at)).exists())
