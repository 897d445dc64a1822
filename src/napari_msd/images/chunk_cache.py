"""Keeps chunks of arrays on disk that were decoded lately.

A chunk, or a page of a TIFF, is decoded as a whole even where only a corner of it is asked for.
Blocks of an image are smaller than many chunks, and volumes cross many pages: without a cache each
would be decoded again for every block.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count, product
from math import prod
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.generic]

_numbers = count()


class ChunkCache:
    """Decoded chunks, the one used longest ago is forgotten first. Any thread may use it.

    Parameters
    ----------
    budget
        Bytes that it keeps at most.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._chunks: OrderedDict[tuple[int, tuple[int, ...]], Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: tuple[int, tuple[int, ...]]) -> Pixels | None:
        """A chunk of an array, by the array's number and the chunk's; ``None`` if not here."""
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
            return self._chunks.get(key)

    def put(self, key: tuple[int, tuple[int, ...]], chunk: Pixels) -> None:
        """Keep a chunk; others are forgotten for it."""
        with self._lock:
            before = self._chunks.pop(key, None)
            self._bytes -= 0 if before is None else before.nbytes
            if chunk.nbytes > self.budget:
                return
            self._chunks[key] = chunk
            self._bytes += chunk.nbytes
            while self._bytes > self.budget:
                self._bytes -= self._chunks.popitem(last=False)[1].nbytes

    def drop(self, number: int) -> None:
        """Forget all chunks of an array."""
        with self._lock:
            for key in [key for key in self._chunks if key[0] == number]:
                self._bytes -= self._chunks.pop(key).nbytes


SHARED = ChunkCache(2**28)
"""Of all files that are open."""


class CachedArray:
    """An array in chunks, whose boxes are read through a cache.

    Parameters
    ----------
    array
        Has `shape`, `dtype` and `chunks`, as zarr's.
    cache
        Where its chunks are kept.
    """

    def __init__(self, array: Any, cache: ChunkCache = SHARED) -> None:
        self._array, self._cache, self._number = array, cache, next(_numbers)
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self._sides: tuple[int, ...] = tuple(array.chunks)

    def __getitem__(self, key: tuple[slice, ...]) -> Pixels:
        """The pixels of a box."""
        ends = [part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)]
        chunk_bytes = prod(self._sides) * self.dtype.itemsize
        touched = [
            range(a // side, -(-b // side)) for (a, b), side in zip(ends, self._sides, strict=True)
        ]
        if chunk_bytes * prod(map(len, touched)) > self._cache.budget:
            return np.asarray(self._array[key])
        chunks = self._chunks(touched)
        out = np.empty([b - a for a, b in ends], self.dtype)
        for at, chunk in chunks.items():
            target, inside = [], []
            for i, side, (a, b) in zip(at, self._sides, ends, strict=True):
                first, last = max(a, i * side), min(b, (i + 1) * side)
                target.append(slice(first - a, last - a))
                inside.append(slice(first - i * side, last - i * side))
            out[tuple(target)] = chunk[tuple(inside)]
        return out

    def close(self) -> None:
        """Forget its chunks."""
        self._cache.drop(self._number)

    def _chunks(self, touched: list[range]) -> dict[tuple[int, ...], Pixels]:
        """Chunks by their number; those that are not kept are read together."""
        found, missing = {}, []
        for at in product(*touched):
            chunk = self._cache.get((self._number, at))
            if chunk is None:
                missing.append(at)
            else:
                found[at] = chunk
        if not missing:
            return found
        first, last = np.min(missing, axis=0), np.max(missing, axis=0)
        hull = tuple(
            slice(int(a) * side, min((int(b) + 1) * side, n))
            for a, b, side, n in zip(first, last, self._sides, self.shape, strict=True)
        )
        pixels = np.asarray(self._array[hull])
        for at in missing:
            inside = tuple(
                slice((i - int(a)) * side, (i - int(a) + 1) * side)
                for i, a, side in zip(at, first, self._sides, strict=True)
            )
            found[at] = pixels[inside].copy()  # not a view that keeps all of them
            self._cache.put((self._number, at), found[at])
        return found
