"""Whether a box lies inside of many others together."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_msd.core.box import Box

if TYPE_CHECKING:
    import numpy.typing as npt

_CELLS = 2**20
"""A box is looked at in so many cells at most; of more, its halves are looked at."""


class BoxUnion:
    """Boxes of one image, added in any order; they may overlap.

    The time of `covers` hardly grows with their number: tens of thousands are blocks of a large
    result.
    """

    def __init__(self) -> None:
        self._exact: set[Box] = set()
        self._hulls: list[Box] = []
        self._ends: npt.NDArray[np.int64] | None = None
        """(2, n, axes): starts and stops of the hulls; ``None`` after a change."""

    def __bool__(self) -> bool:
        return bool(self._exact)

    def add(self, box: Box) -> None:
        """Add a box; those that make one box with the one before are kept as one."""
        self._exact.add(box)
        self._hulls.append(box)
        self._ends = None
        while len(self._hulls) > 1:
            before, last = self._hulls[-2:]
            hull = before.hull(last)
            if hull.size != before.size + last.size or not before.intersect(last).empty:
                return
            self._hulls[-2:] = [hull]

    def covers(self, box: Box) -> bool:
        """Whether every pixel of `box` is in one of the boxes."""
        if box.empty or box in self._exact:
            return True
        if not self._hulls:
            return False
        if self._ends is None:
            ends = [(hull.start, hull.stop) for hull in self._hulls]
            self._ends = np.array(ends, np.int64).transpose(1, 0, 2)
        return self._covers(box, np.arange(len(self._hulls)))

    def _covers(self, box: Box, near: npt.NDArray[np.int64]) -> bool:
        """`covers`, where only the hulls `near` may touch the box."""
        assert self._ends is not None
        starts, stops = self._ends[:, near]
        if ((starts <= box.start) & (stops >= box.stop)).all(axis=1).any():
            return True
        near = near[((starts < box.stop) & (stops > box.start)).all(axis=1)]
        starts, stops = np.clip(self._ends[:, near], box.start, box.stop)
        # the box in cells, at whose sides the others begin and end
        edges = [
            np.unique(np.concatenate([starts[:, k], stops[:, k], (box.start[k], box.stop[k])]))
            for k in range(box.ndim)
        ]
        cells = tuple(len(along) - 1 for along in edges)
        if prod(cells) > _CELLS and box.size > 1:
            axis = int(np.argmax(cells))
            middle = int(edges[axis][cells[axis] // 2])
            halves = (
                box.along(axis, box.start[axis], middle),
                box.along(axis, middle, box.stop[axis]),
            )
            return all(self._covers(half, near) for half in halves)
        first = [np.searchsorted(along, starts[:, k]) for k, along in enumerate(edges)]
        last = [np.searchsorted(along, stops[:, k]) for k, along in enumerate(edges)]
        done = np.zeros(cells, bool)
        for ends in zip(*first, *last, strict=True):
            done[tuple(map(slice, ends[: box.ndim], ends[box.ndim :]))] = True
        return bool(done.all())
