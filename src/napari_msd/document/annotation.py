"""What is painted: one sparse n-D store for both processes.

Values are kept in chunks, and only where something is painted: memory and work follow the strokes,
never the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from weakref import WeakMethod

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.core.space import Slab

Labels = npt.NDArray[np.uint8]

CHUNK = {2: 64, 3: 16}
"""Side of a chunk in pixels along the convolved axes, by their number: 4 kB for a small dab."""

_Chunks = dict[tuple[int, ...], Labels]


class Annotation:
    """The painted values of any number of sources, uint8: 0 is "nothing painted", classes 1..255.

    Parameters
    ----------
    convolved
        How many of the last axes the network convolves over: 2 (Y and X) or 3. Chunks are one
        pixel long along the others.
    """

    def __init__(self, convolved: int = 2) -> None:
        self.convolved = convolved
        self._side = CHUNK[convolved]
        self.revision = 0
        """Rises with every change, so that what is derived from the annotation can be kept."""
        self._slabs: dict[Slab, _Chunks] = {}
        self._counts = np.zeros(MAX_CLASSES + 1, np.int64)
        self._followers: list[WeakMethod[Callable[[Box], None]]] = []

    def __eq__(self, other: object) -> bool:
        """Whether the same is painted."""
        if not isinstance(other, Annotation):
            return NotImplemented
        mine, its = dict(self.chunks()), dict(other.chunks())
        return mine.keys() == its.keys() and all(np.array_equal(mine[k], its[k]) for k in mine)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def follow(self, follower: Callable[[Box], None]) -> None:
        """Call a method after every change, with a box that holds all changed pixels.

        Its object is not kept alive: it usually owns this annotation, and what it computed from it
        can be large.
        """
        self._followers.append(WeakMethod(follower))

    # --- writing and reading -------------------------------------------------------------

    def write(self, box: Box, values: Labels) -> Box | None:
        """Replace the painted values of `box` by `values`, uint8 of its shape.

        Returns
        -------
        Box or None
            The smallest box that holds every changed pixel; None if none is.
        """
        changed: Box | None = None
        for slab, part, index in self._parts(box):
            found = self._write(slab, part, values[index])
            if found is not None:
                changed = found if changed is None else changed.hull(found)
        if changed is not None:
            self.revision += 1
            for reference in self._followers:
                if (follower := reference()) is not None:
                    follower(changed)
        return changed

    def repaint(self, value: int, new: int) -> None:
        """Everything painted as class `value` is of class `new` now; 0 erases it."""
        for box, values in list(self.chunks()):
            there = values == value
            if there.any():
                values[there] = new
                self.write(box, values)

    def read(self, box: Box) -> Labels:
        """Painted values of `box`, uint8 of its shape."""
        out = np.zeros(box.shape, np.uint8)
        for slab, part, index in self._parts(box):
            self._read(self._slabs.get(slab, {}), part, out[index])
        return out

    def chunks(self) -> Iterator[tuple[Box, Labels]]:
        """Everything painted, as arguments for the `write` of another store.

        Chunks are whole: they may reach beyond the source, where nothing is painted.
        """
        for slab, chunks in self._slabs.items():
            for at, values in chunks.items():
                box = self._box(slab, at)
                yield box, values.reshape(box.shape).copy()

    def chunk_boxes(self, slab: Slab) -> Iterator[Box]:
        """Where chunks of a slab are painted, along the convolved axes; they may reach beyond."""
        for at in self._slabs.get(slab, {}):
            yield self._box(slab, at).last(self.convolved)

    # --- what there is -------------------------------------------------------------------

    @property
    def slabs(self) -> set[Slab]:
        """Slabs with anything painted."""
        return set(self._slabs)

    @property
    def counts(self) -> dict[int, int]:
        """Painted pixels of each class value that has any, ascending by value."""
        return {int(v): int(self._counts[v]) for v in np.flatnonzero(self._counts)}

    @property
    def classes(self) -> list[int]:
        """Values painted anywhere, ascending."""
        return list(self.counts)

    def count(self, value: int) -> int:
        """Painted pixels of class `value`."""
        return int(self._counts[value])

    def where(self, value: int) -> Iterator[tuple[Slab, npt.NDArray[np.intp]]]:
        """Pixels of class `value`, by slab: (n, convolved), along the convolved axes."""
        for slab, chunks in self._slabs.items():
            for at, values in chunks.items():
                pixels = np.argwhere(values == value)
                if len(pixels):
                    yield slab, pixels + np.array(at) * self._side

    def painted_blocks(
        self, slab: Slab, shape: tuple[int, ...], side: int
    ) -> npt.NDArray[np.bool_]:
        """Which of the first `shape` blocks of a slab, of `side` pixels each, hold strokes.

        `side` divides that of a chunk.
        """
        painted = np.zeros(shape, np.bool_)
        n = self._side // side
        for at, values in self._slabs.get(slab, {}).items():
            blocks = values.reshape((n, side) * self.convolved)
            any_in_block = np.asarray(blocks.any(axis=tuple(range(1, blocks.ndim, 2))))
            chunk = Box(slab.source, tuple(i * n for i in at), tuple((i + 1) * n for i in at))
            shared = chunk.clip(shape)
            painted[shared.slices] = any_in_block[shared.within(chunk).slices]
        return painted

    # --- inside --------------------------------------------------------------------------

    def _parts(self, box: Box) -> Iterator[tuple[Slab, Box, tuple[int, ...]]]:
        """The slabs of `box`; what it holds of each; index of that in an array of `box`."""
        if box.empty:
            return
        first = box.start[: box.ndim - self.convolved]
        for slab in Slab.all_of(box, self.convolved):
            index = tuple(i - f for i, f in zip(slab.index, first, strict=True))
            yield slab, box.last(self.convolved), index

    def _box(self, slab: Slab, at: tuple[int, ...]) -> Box:
        return slab.box([i * self._side for i in at], [(i + 1) * self._side for i in at])

    def _read(self, chunks: _Chunks, part: Box, out: Labels) -> bool:
        """Fill in the values of a part of a slab; whether any of its chunks is there."""
        axes = self._overlaps(part)
        if prod(map(len, axes)) <= len(chunks):
            touched = [at for at in product(*axes) if at in chunks]
        else:
            touched = [at for at in chunks if all(map(dict.__contains__, axes, at))]
        for at in touched:
            inside, there = zip(*map(dict.__getitem__, axes, at), strict=True)
            out[there] = chunks[at][inside]
        return bool(touched)

    def _write(self, slab: Slab, part: Box, values: Labels) -> Box | None:
        """Write a part of a slab; the box of what changed."""
        chunks = self._slabs.get(slab, {})
        if not chunks and not values.any():
            return None  # the usual case of a scan: nothing there, nothing known
        before = np.zeros(part.shape, np.uint8)
        if not self._read(chunks, part, before) and not values.any():
            return None
        bounds = _bounds(before != values)
        if bounds is None:
            return None
        inner = tuple(slice(a, b) for a, b in zip(*bounds, strict=True))
        self._counts += np.bincount(values[inner].ravel(), minlength=MAX_CLASSES + 1)
        self._counts -= np.bincount(before[inner].ravel(), minlength=MAX_CLASSES + 1)
        self._counts[0] = 0
        changed = Box(slab.source, *bounds).shift(part.start)
        self._put(chunks, changed, values[inner])
        if chunks:
            self._slabs[slab] = chunks
        else:
            self._slabs.pop(slab, None)
        return slab.box(changed.start, changed.stop)

    def _put(self, chunks: _Chunks, part: Box, values: Labels) -> None:
        axes = self._overlaps(part)
        for at in product(*axes):
            inside, there = zip(*map(dict.__getitem__, axes, at), strict=True)
            new, chunk = values[there], chunks.get(at)
            if chunk is None:
                if not new.any():
                    continue
                chunk = chunks[at] = np.zeros((self._side,) * self.convolved, np.uint8)
            chunk[inside] = new
            if not chunk.any():
                del chunks[at]

    def _overlaps(self, part: Box) -> list[dict[int, tuple[slice, slice]]]:
        """By axis: the chunks that `part` touches; where, counted in the chunk and in `part`."""
        side, axes = self._side, []
        for start, stop in zip(part.start, part.stop, strict=True):
            overlaps = {}
            for i in range(start // side, (stop - 1) // side + 1):
                first, last = max(i * side, start), min((i + 1) * side, stop)
                inside = slice(first - i * side, last - i * side)
                overlaps[i] = inside, slice(first - start, last - start)
            axes.append(overlaps)
        return axes


def _bounds(mask: npt.NDArray[np.bool_]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Start and stop of the smallest box that holds all of a mask; None if it is empty."""
    start, stop = [], []
    for axis in range(mask.ndim):
        others = tuple(i for i in range(mask.ndim) if i != axis)
        there = np.flatnonzero(mask.any(axis=others))
        if not len(there):
            return None
        start.append(int(there[0]))
        stop.append(int(there[-1]) + 1)
    return tuple(start), tuple(stop)
