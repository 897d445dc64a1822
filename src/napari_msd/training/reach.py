"""How much of a slab is read because of what is painted on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from napari_msd.core.box import Box

LEAST_SLICES = 8
"""Of a patch of a volume, however far apart slices are."""


MOST_KNOWN = 100_000
"""Painted boxes of which it is remembered what is read because of them: all are asked for again
after every stroke."""


class Reach:
    """The size of patches, and what else is read beside them.

    Parameters
    ----------
    side
        Side of a patch in pixels; smaller slabs give smaller patches.
    anisotropy
        Distance of a volume's slices in pixels: patches are so many times shorter along Z.
    """

    def __init__(self, side: int, anisotropy: float = 1.0) -> None:
        self.side = side
        """May become smaller where the memory does not hold larger patches."""
        self.reads: Callable[[tuple[int, ...], Box], Box] | None = None
        """What else is read of a slab of some shape because of pixels painted in a box."""
        self._known: dict[tuple[tuple[int, ...], Box], Box] = {}
        self._known_for: object = None
        self._largest = side
        self._anisotropy = anisotropy

    def sides(self, n_axes: int) -> tuple[int, ...]:
        """([planes,] rows, columns) of a patch, in a slab that is large enough."""
        return self._sides(self.side, n_axes)

    def patch_in(self, shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """([planes,] rows, columns) of a patch that fits slabs of these shapes."""
        return self._fitting(self.side, shapes)

    def largest_patch_in(self, shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """The same as long as there is memory enough."""
        return self._fitting(self._largest, shapes)

    def around(self, shape: tuple[int, ...], box: Box) -> Box:
        """All that is read of a slab of `shape` because of pixels painted in `box`."""
        if self._known_for != (self.side, self.reads) or len(self._known) > MOST_KNOWN:
            self._known.clear()
            self._known_for = self.side, self.reads
        found = self._known.get((shape, box))
        if found is None:
            found = box.grow(self.sides(len(shape))).clip(shape)
            if self.reads is not None:
                found = found.hull(self.reads(shape, box))
            self._known[shape, box] = found
        return found

    def _fitting(self, side: int, shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        smallest = np.min(list(shapes), axis=0)
        return tuple(
            min(length, int(n))
            for length, n in zip(self._sides(side, len(smallest)), smallest, strict=True)
        )

    def _sides(self, side: int, n_axes: int) -> tuple[int, ...]:
        if n_axes == 2:
            return side, side
        return max(LEAST_SLICES, round(side / self._anisotropy)), side, side
