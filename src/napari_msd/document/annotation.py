"""What is painted: one sparse n-D store for both processes.

Values are kept in chunks, and only where something is painted: memory and work follow the strokes,
never the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

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
        self._followers: list[Callable[[Box], None]] = []

    def __eq__(self, other: object) -> bool:
        """Whether the same is painted."""
        if not isinstance(other, Annotation):
            return NotImplemented
        mine, its = dict(self.chunks()), dict(other.chunks())
        return mine.keys() == its.keys() and all(np.array_equal(mine[k], its[k]) for k in mine)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def follow(self, follower: Callable[[Box], None]) -> None:
        """Call `follower` after every change, with a box that holds all changed pixels."""
        self._followers.append(follower)

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
            for follower in self._followers:
                follower(changed)
        return changed

    def read(self, box: Box) -> Labels:
        """Painted values of `box`, uint8 of its shape."""
        out = np.zeros(box.shape, np.uint8)
        for slab, part, index in self._parts(box):
            target = out[index]
            chunks = self._slabs.get(slab, {})
            for at in self._touched(chunks, part):
                chunk = self._box(slab, at).last(self.convolved)
                shared = chunk.intersect(part)
                target[shared.within(part).slices] = chunks[at][shared.within(chunk).slices]
        return out

    def chunks(self) -> Iterator[tuple[Box, Labels]]:
        """Everything painted, as arguments for the `write` of another store.

        Chunks are whole: they may reach beyond the source, where nothing is painted.
        """
        for slab, chunks in self._slabs.items():
            for at, values in chunks.items():
                box = self._box(slab, at)
                yield box, values.reshape(box.shape).copy()

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

    def _touched(self, chunks: _Chunks, part: Box) -> Iterator[tuple[int, ...]]:
        """Which of these chunks `part` touches."""
        ranges = self._ranges(part)
        if np.prod([len(r) for r in ranges]) <= len(chunks):
            return (at for at in product(*ranges) if at in chunks)
        return (at for at in chunks if all(i in r for i, r in zip(at, ranges, strict=True)))

    def _write(self, slab: Slab, part: Box, values: Labels) -> Box | None:
        chunks = self._slabs.get(slab)
        if chunks is None:
            if not values.any():
                return None  # the usual case of a scan: nothing there, nothing known
            chunks = self._slabs[slab] = {}
        changed: Box | None = None
        for at in product(*self._ranges(part)):
            chunk = self._box(slab, at).last(self.convolved)
            shared = chunk.intersect(part)
            found = self._write_chunk(
                chunks, at, shared.within(chunk).slices, values[shared.within(part).slices]
            )
            if found is not None:
                start, stop = found
                box = slab.box(start, stop).shift((0,) * len(slab.index) + shared.start)
                changed = box if changed is None else changed.hull(box)
        if not chunks:
            del self._slabs[slab]
        return changed

    def _write_chunk(
        self, chunks: _Chunks, at: tuple[int, ...], inside: tuple[slice, ...], new: Labels
    ) -> tuple[list[int], list[int]] | None:
        """Write a part of a chunk; the bounds of what changed, counted in that part."""
        chunk = chunks.get(at)
        if chunk is None:
            if not new.any():
                return None
            chunk = chunks[at] = np.zeros((self._side,) * self.convolved, np.uint8)
        differs = chunk[inside] != new
        if not differs.any():
            return None
        self._counts += np.bincount(new[differs], minlength=MAX_CLASSES + 1)
        self._counts -= np.bincount(chunk[inside][differs], minlength=MAX_CLASSES + 1)
        self._counts[0] = 0
        chunk[inside] = new
        if not chunk.any():
            del chunks[at]
        pixels = np.nonzero(differs)
        return [int(p.min()) for p in pixels], [int(p.max()) + 1 for p in pixels]

    def _ranges(self, part: Box) -> list[range]:
        """Indices of the chunks that a box touches, by axis."""
        ends = zip(part.start, part.stop, strict=True)
        return [range(a // self._side, (b - 1) // self._side + 1) for a, b in ends]
