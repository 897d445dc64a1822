"""Boxes: how every package addresses a part of an image.

A box is an n-D half-open slab of one source. A stroke, a patch, a tile, the view, a block of the
overlay and a suggestion are all boxes; a rectangle of a 2-D image is the case without leading axes.
Positions and sizes are in pixels, in the order of the source's axes, without a channel axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

SourceId = int
"""Number of an image within a document."""


@dataclass(frozen=True, slots=True)
class Box:
    """A slab ``start <= index < stop`` of a source.

    Parameters
    ----------
    source
        Number of the source.
    start, stop
        First index, and the index after the last, of every axis. Both have the same length.

    Raises
    ------
    ValueError
        If `start` and `stop` have different lengths.
    """

    source: SourceId
    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop):
            raise ValueError(f"start {self.start} and stop {self.stop} differ in length")

    @classmethod
    def whole(cls, source: SourceId, shape: Sequence[int]) -> Box:
        """The box of a whole source of `shape`."""
        return cls(source, (0,) * len(shape), tuple(shape))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.start)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis, 0 where `stop` is not beyond `start`."""
        return tuple(b - a if b > a else 0 for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def empty(self) -> bool:
        """Whether it contains no pixel."""
        return not self.size

    @property
    def slices(self) -> tuple[slice, ...]:
        """Index of this box in an array of the source."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def centre(self) -> tuple[float, ...]:
        """Its centre, in pixels."""
        return tuple((a + b) / 2 for a, b in zip(self.start, self.stop, strict=True))

    def clip(self, shape: Sequence[int]) -> Box:
        """The part of the box inside a source of `shape`; may be empty."""
        start = tuple(min(max(a, 0), n) for a, n in zip(self.start, shape, strict=True))
        stop = tuple(min(max(b, 0), n) for b, n in zip(self.stop, shape, strict=True))
        return Box(self.source, start, tuple(map(max, start, stop)))

    def grow(self, margin: Sequence[int]) -> Box:
        """The box extended on both ends of each axis, by one margin per axis."""
        start = tuple(a - m for a, m in zip(self.start, margin, strict=True))
        stop = tuple(b + m for b, m in zip(self.stop, margin, strict=True))
        return Box(self.source, start, stop)

    def shift(self, by: Sequence[int]) -> Box:
        """The box moved by one distance per axis."""
        start = tuple(a + d for a, d in zip(self.start, by, strict=True))
        stop = tuple(b + d for b, d in zip(self.stop, by, strict=True))
        return Box(self.source, start, stop)

    def within(self, outer: Box) -> Box:
        """The box relative to the start of `outer`: its index in an array of `outer`."""
        return self.shift([-a for a in outer.start])

    def intersect(self, other: Box) -> Box:
        """The intersection of both boxes; empty if they are of different sources."""
        start = tuple(map(max, self.start, other.start))
        if self.source != other.source:
            return Box(self.source, start, start)
        return Box(self.source, start, tuple(map(max, start, map(min, self.stop, other.stop))))

    def hull(self, other: Box) -> Box:
        """The smallest box that contains both; they must be of one source."""
        start = tuple(map(min, self.start, other.start))
        return Box(self.source, start, tuple(map(max, self.stop, other.stop)))

    def contains(self, other: Box) -> bool:
        """Whether `other` is completely inside this box."""
        return self.source == other.source and self.intersect(other) == other

    def without(self, other: Box) -> list[Box]:
        """The box minus `other`, as up to two boxes per axis, none of them empty."""
        hole = self.intersect(other)
        if hole.empty:
            return [] if self.empty else [self]
        parts, rest = [], self
        for axis in range(self.ndim):
            before = rest.along(axis, rest.start[axis], hole.start[axis])
            after = rest.along(axis, hole.stop[axis], rest.stop[axis])
            parts += [part for part in (before, after) if not part.empty]
            rest = rest.along(axis, hole.start[axis], hole.stop[axis])
        return parts

    def last(self, n: int) -> Box:
        """The box along its last `n` axes only."""
        return Box(self.source, self.start[-n:], self.stop[-n:])

    def along(self, axis: int, start: int, stop: int) -> Box:
        """The box with another start and stop along one axis."""
        starts, stops = list(self.start), list(self.stop)
        starts[axis], stops[axis] = start, stop
        return Box(self.source, tuple(starts), tuple(stops))

    def reduced_shape(self, scale: int) -> tuple[int, ...]:
        """Its shape where `scale` x `scale` pixels of the last two axes are one."""
        *before, rows, columns = self.shape
        return (*before, -(-rows // scale), -(-columns // scale))

    def tiles(self, size: Sequence[int]) -> Iterator[Box]:
        """The box in pieces of at most `size`, in order of their index."""
        ranges = [range(a, b, n) for a, b, n in zip(self.start, self.stop, size, strict=True)]
        for start in product(*ranges):
            stop = tuple(min(a + n, b) for a, n, b in zip(start, size, self.stop, strict=True))
            yield Box(self.source, start, stop)
