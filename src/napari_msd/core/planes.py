"""Planes and rectangles, for what does not speak of boxes yet (`napari_msd.core.box`).

A *plane* is one 2-D image of a stack. Positions and sizes are in pixels, (Y, X).
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_msd.core.box import Box, SourceId
from napari_msd.core.space import Slab

PlaneKey = tuple[int, ...]
"""Indices of the leading axes: ``()`` for a plain 2-D image, ``(7,)`` for slice 7."""


@dataclass(frozen=True)
class Region:
    """A rectangle of a plane: rows ``top..bottom-1``, columns ``left..right-1``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this rectangle in a (Y, X) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def area(self) -> int:
        """Number of pixels."""
        rows, columns = self.shape
        return max(rows, 0) * max(columns, 0)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.bottom <= self.top or self.right <= self.left

    def clip(self, shape: tuple[int, int]) -> Region:
        """The part inside a plane of `shape`."""
        top, bottom = (min(max(v, 0), shape[0]) for v in (self.top, self.bottom))
        left, right = (min(max(v, 0), shape[1]) for v in (self.left, self.right))
        return Region(top, left, max(top, bottom), max(left, right))

    def grow(self, margin: int) -> Region:
        """The rectangle extended by `margin` on all four sides."""
        return Region(
            self.top - margin, self.left - margin, self.bottom + margin, self.right + margin
        )

    def shift(self, rows: int, columns: int) -> Region:
        """The rectangle moved down by `rows` and right by `columns`."""
        return Region(
            self.top + rows, self.left + columns, self.bottom + rows, self.right + columns
        )

    def intersect(self, other: Region) -> Region:
        """The rectangle that both share; may be `empty`."""
        return Region(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def without(self, other: Region) -> list[Region]:
        """What is left of it when `other` is cut out: up to four rectangles, none of them empty."""
        hole = self.intersect(other)
        if hole.empty:
            return [self]
        parts = (
            Region(self.top, self.left, hole.top, self.right),
            Region(hole.bottom, self.left, self.bottom, self.right),
            Region(hole.top, self.left, hole.bottom, hole.left),
            Region(hole.top, hole.right, hole.bottom, self.right),
        )
        return [part for part in parts if not part.empty]


def whole(shape: tuple[int, int]) -> Region:
    """The rectangle that covers a plane of `shape`."""
    return Region(0, 0, *shape)


def box_of(plane: PlaneKey, region: Region, source: SourceId = 0) -> Box:
    """The box of a rectangle of a plane."""
    return Slab(source, plane).box((region.top, region.left), (region.bottom, region.right))


def plane_and_region(box: Box) -> tuple[PlaneKey, Region]:
    """The reverse of `box_of`."""
    return box.start[:-2], Region(*box.start[-2:], *box.stop[-2:])
