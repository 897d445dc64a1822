"""Class values of an image of any size: an array that keeps only the chunks that are not empty.

napari, and scripts, use it like a NumPy array. Memory follows what is written, never the shape: a
new annotation of 100 GB costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, Protocol
from weakref import WeakMethod

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.errors import BadInputError

Labels = npt.NDArray[np.uint8]
ChunkIndex = tuple[int, ...]

MAX_DENSE = 1 << 32
"""Pixels that are given as one NumPy array at most: 4 GiB."""


class ChunkStore(Protocol):
    """Where chunks are kept: in memory, or on disk as well (`napari_msd.document.spilling`)."""

    def get(self, at: ChunkIndex) -> Labels | None:
        """The chunk; ``None`` if there is none. It must not be changed in place."""

    def put(self, at: ChunkIndex, chunk: Labels) -> None:
        """Keep this chunk; it is not changed any more."""

    def drop(self, at: ChunkIndex) -> None:
        """Forget a chunk, if there is one."""

    def __contains__(self, at: object) -> bool: ...

    def __iter__(self) -> Iterator[ChunkIndex]: ...

    def __len__(self) -> int: ...


class InMemory:
    """Chunks in a dictionary."""

    def __init__(self) -> None:
        self._chunks: dict[ChunkIndex, Labels] = {}

    def get(self, at: ChunkIndex) -> Labels | None:
        """The chunk, if there is one."""
        return self._chunks.get(at)

    def put(self, at: ChunkIndex, chunk: Labels) -> None:
        """Keep a chunk."""
        self._chunks[at] = chunk

    def drop(self, at: ChunkIndex) -> None:
        """Forget a chunk."""
        self._chunks.pop(at, None)

    def __contains__(self, at: object) -> bool:
        return at in self._chunks

    def __iter__(self) -> Iterator[ChunkIndex]:
        return iter(list(self._chunks))

    def __len__(self) -> int:
        return len(self._chunks)


class ChunkedLabels:
    """uint8 of any shape, 0 where nothing was written.

    Indexing knows integers, slices, ``...``, and index lists (one array of integers per axis, as
    napari's undo uses them). It reads copies: only writing to this object changes it.

    Parameters
    ----------
    shape
        Two axes or more; chunks are one pixel long along all but the last two.
    side
        Of a chunk along the last two axes, in pixels.
    store
        Where chunks are kept; in memory by default.
    """

    dtype: np.dtype[np.uint8] = np.dtype(np.uint8)

    def __init__(
        self, shape: Sequence[int], side: int = 256, store: ChunkStore | None = None
    ) -> None:
        self.shape = tuple(map(int, shape))
        self._side = side
        self._store: ChunkStore = InMemory() if store is None else store
        self._followers: list[WeakMethod[Callable[[Box], None]]] = []

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole as one NumPy array."""
        return self.size

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk, as zarr names it: napari shows whole chunks of images with levels."""
        return (1,) * (self.ndim - 2) + (self._side, self._side)

    @property
    def empty(self) -> bool:
        """Whether nothing is written."""
        return not len(self._store)

    def follow(self, follower: Callable[[Box], None]) -> None:
        """Call a method with the box of every write through an index; not kept alive by this."""
        self._followers.append(WeakMethod(follower))

    def unfollow(self, follower: Callable[[Box], None]) -> None:
        """Call it no longer."""
        self._followers = [other for other in self._followers if other() not in (None, follower)]

    def written(self) -> Iterator[Box]:
        """Boxes of the chunks that hold something, clipped to the shape; in no order."""
        for at in self._store:
            yield self._chunk_box(at).clip(self.shape)

    # --- by boxes ------------------------------------------------------------------------

    def read(self, box: Box) -> Labels:
        """Values of a box inside the shape: a new array."""
        out = np.zeros(box.shape, np.uint8)
        for at in self._touched(box):
            chunk = self._store.get(at)
            if chunk is not None:
                whole = self._chunk_box(at)
                part = whole.intersect(box)
                out[part.within(box).slices] = chunk[part.within(whole).slices]
        return out

    def write(self, box: Box, values: npt.NDArray[np.generic]) -> None:
        """Write the values of a box inside the shape; followers are not told."""
        for at in self._all_chunks(box):
            whole = self._chunk_box(at)
            part = whole.intersect(box)
            new = values[part.within(box).slices]
            old = self._store.get(at)
            if old is None and not new.any():
                continue
            if part.shape == whole.shape:
                chunk = np.array(new, np.uint8)
            else:
                chunk = np.zeros(whole.shape, np.uint8) if old is None else old.copy()
                chunk[part.within(whole).slices] = new
            if chunk.any():
                self._store.put(at, chunk)
            else:
                self._store.drop(at)

    # --- as an array ---------------------------------------------------------------------

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]:
        """Values as a new NumPy array, as NumPy would give them."""
        key = self._expanded(key)
        if _is_list_of_indices(key):
            return self._gather(*self._index_lists(key))
        box, inside = self._box_of(key)
        values = self.read(box)[inside]
        return np.asarray(values)

    def __setitem__(self, key: Any, value: npt.ArrayLike) -> None:
        """Write as NumPy would; followers are told."""
        key = self._expanded(key)
        if _is_list_of_indices(key):
            index, shape = self._index_lists(key)
            if not index.size:
                return
            self._scatter(index, np.broadcast_to(np.asarray(value), shape).ravel())
            box = Box(0, tuple(index.min(axis=1)), tuple(index.max(axis=1) + 1))
        else:
            box, inside = self._box_of(key)
            if box.empty:
                return
            whole = all(isinstance(i, int) or i.step in (None, 1) for i in inside)
            values = np.zeros(box.shape, np.uint8) if whole else self.read(box)
            values[inside] = value
            self.write(box, values)
        box = Box(0, tuple(map(int, box.start)), tuple(map(int, box.stop)))
        for reference in self._followers:
            if (follower := reference()) is not None:
                follower(box)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Any:
        """All of it in memory.

        Raises
        ------
        BadInputError
            If that were more than `MAX_DENSE` pixels.
        """
        if self.size > MAX_DENSE:
            raise BadInputError(
                f"{' × '.join(map(str, self.shape))} pixels are too many for one array in memory; "
                "read parts of it, for instance one plane."
            )
        return self.read(Box.whole(0, self.shape)).astype(dtype or np.uint8, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    # --- inside --------------------------------------------------------------------------

    def _expanded(self, key: Any) -> tuple[Any, ...]:
        """The key with one entry per axis."""
        keys = key if isinstance(key, tuple) else (key,)
        n_missing = self.ndim - sum(k is not Ellipsis for k in keys)
        if n_missing < 0:
            raise IndexError(f"{len(keys)} indices for an array of {self.ndim} axes")
        for at, one in enumerate(keys):
            if one is Ellipsis:
                return (*keys[:at], *(slice(None),) * n_missing, *keys[at + 1 :])
        return (*keys, *(slice(None),) * n_missing)

    def _box_of(self, key: tuple[Any, ...]) -> tuple[Box, tuple[int | slice, ...]]:
        """The box that a key of integers and slices lies in, and its index in an array of that."""
        start, stop, inside = [], [], list[int | slice]()
        for one, n in zip(key, self.shape, strict=True):
            if isinstance(one, slice):
                indices = range(n)[one]
                low, high = (min(indices), max(indices) + 1) if indices else (0, 0)
                step = indices.step
                end = (indices[-1] - low + step) if indices else 0
                first = indices[0] - low if indices else 0
                inside.append(slice(first, None if end < 0 else end, step))
            elif isinstance(one, int | np.integer):
                low = int(one) + (n if one < 0 else 0)
                if not 0 <= low < n:
                    raise IndexError(f"index {one} is out of bounds for an axis of {n}")
                high = low + 1
                inside.append(0)
            else:
                raise IndexError(
                    "an annotation of this size takes integers, slices, or one list of integers "
                    "per axis"
                )
            start.append(low)
            stop.append(high)
        return Box(0, tuple(start), tuple(stop)), tuple(inside)

    def _index_lists(self, key: tuple[Any, ...]) -> tuple[npt.NDArray[np.intp], tuple[int, ...]]:
        """(axes, pixels) indices, and the shape that the result has."""
        arrays = np.broadcast_arrays(*(np.asarray(k) for k in key))
        index = np.stack([a.ravel() for a in arrays]).astype(np.intp)
        shape = np.asarray(self.shape)[:, None]
        index = np.where(index < 0, index + shape, index)
        if ((index < 0) | (index >= shape)).any():
            raise IndexError(f"index out of bounds for an array of {self.shape}")
        return index, arrays[0].shape

    def _by_chunk(
        self, index: npt.NDArray[np.intp]
    ) -> Iterator[tuple[ChunkIndex, npt.NDArray[np.intp], tuple[npt.NDArray[np.intp], ...]]]:
        """By chunk: its index, which pixels lie in it, and where in it."""
        size = np.asarray(self.chunks)[:, None]
        at, inside = index // size, index % size
        grid = [-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True)]
        number = np.ravel_multi_index(tuple(at), grid)
        order = np.argsort(number, kind="stable")
        for pixels in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            where = tuple(at[:, pixels[0]].tolist()) if len(pixels) else ()
            if where:
                yield where, pixels, tuple(inside[:, pixels])

    def _gather(self, index: npt.NDArray[np.intp], shape: tuple[int, ...]) -> Labels:
        out = np.zeros(index.shape[1], np.uint8)
        for at, pixels, inside in self._by_chunk(index):
            chunk = self._store.get(at)
            if chunk is not None:
                out[pixels] = chunk[inside]
        return out.reshape(shape)

    def _scatter(self, index: npt.NDArray[np.intp], values: npt.NDArray[np.generic]) -> None:
        for at, pixels, inside in self._by_chunk(index):
            old = self._store.get(at)
            chunk = np.zeros(self.chunks, np.uint8) if old is None else old.copy()
            chunk[inside] = values[pixels]
            if chunk.any():
                self._store.put(at, chunk)
            else:
                self._store.drop(at)

    def _chunk_box(self, at: ChunkIndex) -> Box:
        start = tuple(i * n for i, n in zip(at, self.chunks, strict=True))
        return Box(0, start, tuple(a + n for a, n in zip(start, self.chunks, strict=True)))

    def _ranges(self, box: Box) -> list[range]:
        if box.empty:
            return [range(0)] * self.ndim
        sizes = zip(box.start, box.stop, self.chunks, strict=True)
        return [range(a // n, (b - 1) // n + 1) for a, b, n in sizes]

    def _all_chunks(self, box: Box) -> Iterable[ChunkIndex]:
        """Every chunk that a box touches, whether it is there or not."""
        return product(*self._ranges(box))

    def _touched(self, box: Box) -> Iterable[ChunkIndex]:
        """The chunks that are there and that a box touches."""
        ranges = self._ranges(box)
        if prod(map(len, ranges)) <= len(self._store):
            return (at for at in product(*ranges) if at in self._store)
        return [at for at in self._store if all(i in r for i, r in zip(at, ranges, strict=True))]


def _is_list_of_indices(key: tuple[Any, ...]) -> bool:
    """Whether a key picks single pixels, one list of integers (or an integer) per axis."""
    lists = [isinstance(k, np.ndarray | list) and np.ndim(k) > 0 for k in key]
    if not any(lists):
        return False
    return all(
        (there and np.asarray(k).dtype.kind in "iu") or isinstance(k, int | np.integer)
        for k, there in zip(key, lists, strict=True)
    )
