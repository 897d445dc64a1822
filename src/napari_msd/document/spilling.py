"""Chunks that are not needed go to disk, so that memory stays bounded.

They are written by another thread, compressed, as zarr arrays. Nothing is written while all fits
into memory.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_msd.document.chunked import ChunkIndex, Labels
from napari_msd.document.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

MEMORY = 96 << 20
"""Bytes of chunks in memory, of all levels of one image together."""

_Key = tuple[int, ChunkIndex]


class SpillingPool:
    """Memory that several arrays share: the chunks that were not used for longest leave it first.

    Parameters
    ----------
    memory
        Bytes of chunks that stay in memory.
    failed
        Called once, with a sentence, if the disk cannot be written: chunks that leave memory are
        lost from then on. Comes on another thread.
    """

    def __init__(self, memory: int = MEMORY, failed: Callable[[str], object] | None = None) -> None:
        self._memory, self._failed = memory, failed
        self._lock = RLock()
        self._chunks: OrderedDict[_Key, Labels] = OrderedDict()
        self._bytes = 0
        self._dirty: set[_Key] = set()
        """Keys of chunks that the disk does not hold as they are now."""
        self._leaving: dict[_Key, tuple[Labels, Future[None]]] = {}
        """Chunks on their way to disk."""
        self._folder: ScratchFolder | None = None
        self._arrays: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._on_disk: dict[int, Any] = {}  # zarr's arrays
        self._thread: ThreadPoolExecutor | None = None
        self._broken = False

    def store(self, shape: Sequence[int], chunks: Sequence[int]) -> Spilling:
        """A store for one array of this shape and these chunks."""
        self._arrays.append((tuple(shape), tuple(chunks)))
        grid = [-(-n // c) for n, c in zip(shape, chunks, strict=True)]
        return Spilling(self, len(self._arrays) - 1, grid)

    def get(self, key: _Key) -> Labels:
        """A chunk that was put."""
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
                return chunk
            if key in self._leaving:
                return self._leaving[key][0]
        # Reading takes milliseconds: others may go on meanwhile. Only one thread writes.
        chunk = self._read(key)
        with self._lock:
            if key in self._chunks or key in self._leaving:  # written meanwhile
                return self.get(key)
            self._keep(key, chunk)
            return chunk

    def put(self, key: _Key, chunk: Labels) -> None:
        """Keep a new or changed chunk."""
        with self._lock:
            self._dirty.add(key)
            self._keep(key, chunk)

    def drop(self, key: _Key) -> None:
        """Forget a chunk; what the disk holds of it does not count any more."""
        with self._lock:
            self._dirty.discard(key)
            chunk = self._chunks.pop(key, None)
            self._bytes -= 0 if chunk is None else chunk.nbytes

    def _keep(self, key: _Key, chunk: Labels) -> None:
        before = self._chunks.pop(key, None)
        self._bytes += chunk.nbytes - (0 if before is None else before.nbytes)
        self._chunks[key] = chunk
        while self._bytes > self._memory and len(self._chunks) > 1:
            old, values = self._chunks.popitem(last=False)
            self._bytes -= values.nbytes
            if old in self._dirty:
                self._dirty.discard(old)
                self._send(old, values)

    def _send(self, key: _Key, values: Labels) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "napari-msd-scratch")
        if self._broken:
            return
        self._leaving[key] = values, self._thread.submit(self._write, key, values)
        if len(self._leaving) * values.nbytes > self._memory:
            # The disk is slower than the network: wait for it, or memory would fill.
            oldest = next(iter(self._leaving.values()))[1]
            self._lock.release()
            try:
                oldest.result()
            finally:
                self._lock.acquire()

    def _write(self, key: _Key, values: Labels) -> None:
        try:
            array = self._array(key[0])
            with self._lock:
                newest = self._leaving.get(key)
            if newest is None or newest[0] is values:
                array[self._slices(key)] = values
        except Exception as error:  # zarr and its stores raise anything
            self._fail(error)
        finally:
            with self._lock:
                if key in self._leaving and self._leaving[key][0] is values:
                    del self._leaving[key]

    def _fail(self, error: Exception) -> None:
        first, self._broken = not self._broken, True
        _log.warning("A part of a segmentation could not be written: %s", error)
        if first and self._failed is not None:
            self._failed(
                f"Parts of the segmentation that are not on screen are lost: they could not be "
                f"written to disk ({error}). Free some room, then press Predict all."
            )

    def _read(self, key: _Key) -> Labels:
        array = self._on_disk.get(key[0])
        if array is None:
            return np.zeros(self._arrays[key[0]][1], np.uint8)
        try:
            values: Labels = np.asarray(array[self._slices(key)], np.uint8)
        except Exception as error:  # the disk is gone
            self._fail(error)
            return np.zeros(self._arrays[key[0]][1], np.uint8)
        return values

    def _slices(self, key: _Key) -> tuple[slice, ...]:
        chunks = self._arrays[key[0]][1]
        return tuple(slice(i * n, (i + 1) * n) for i, n in zip(key[1], chunks, strict=True))

    def _array(self, number: int) -> Any:
        """Zarr's array of one of ours; made when it is first needed, on the writing thread."""
        array = self._on_disk.get(number)
        if array is None:
            import zarr  # takes a second to import, and most people never need it

            if self._folder is None:
                self._folder = ScratchFolder()
            shape, chunks = self._arrays[number]
            array = self._on_disk[number] = zarr.create_array(
                str(self._folder.path / str(number)),
                # whole chunks only, so that each is written and read as it is
                shape=tuple(-(-n // c) * c for n, c in zip(shape, chunks, strict=True)),
                chunks=chunks,
                dtype="uint8",
            )
        return array

    def flush(self) -> None:
        """Wait until nothing is on its way to disk."""
        with self._lock:
            leaving = [future for _, future in self._leaving.values()]
        for future in leaving:
            future.result()


class Spilling:
    """The chunks of one array in a `SpillingPool`; see `napari_msd.document.chunked.ChunkStore`."""

    def __init__(self, pool: SpillingPool, number: int, grid: Sequence[int]) -> None:
        self._pool, self._number = pool, number
        self._there: npt.NDArray[np.bool_] = np.zeros(tuple(grid), np.bool_)
        self._n = 0

    def get(self, at: ChunkIndex) -> Labels | None:
        """The chunk, if there is one."""
        return self._pool.get((self._number, at)) if self._there[at] else None

    def put(self, at: ChunkIndex, chunk: Labels) -> None:
        """Keep a chunk."""
        self._pool.put((self._number, at), chunk)
        self._n += not self._there[at]
        self._there[at] = True

    def drop(self, at: ChunkIndex) -> None:
        """Forget a chunk."""
        if self._there[at]:
            self._there[at] = False
            self._n -= 1
            self._pool.drop((self._number, at))

    def __contains__(self, at: object) -> bool:
        return isinstance(at, tuple) and bool(self._there[at])

    def __iter__(self) -> Iterator[ChunkIndex]:
        return (tuple(at) for at in np.argwhere(self._there).tolist())

    def __len__(self) -> int:
        return self._n
