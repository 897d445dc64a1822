"""Which tile is predicted next: of what is on screen, or of whole slabs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from napari_msd.core.box import Box
from napari_msd.inference import tiles_of
from napari_msd.trainer.limits import TILE_SIDE

REFRESH_EVERY = 0.1
"""Seconds from one refresh of the view to the next; more are not seen."""


class ViewRefresh:
    """Predicts what is on screen again whenever there are new weights.

    Predicting takes at most half of the time: after each tile learning goes on
    for as long as the tile took.
    """

    def __init__(self) -> None:
        self._view: Box | None = None
        self._tiles: deque[Box] = deque()
        self._shown: tuple[Box, int] | None = None
        self._last = 0.0
        self._cost = 0.0

    @property
    def box(self) -> Box | None:
        """What is on screen."""
        return self._view

    def look_at(self, view: Box | None) -> bool:
        """What is on screen; if it is something else it comes next. Returns whether it is."""
        if view == self._view:
            return False
        self._view = view
        self.renew()
        return True

    def renew(self) -> None:
        """Show the view anew, whatever was shown before."""
        self._tiles.clear()
        self._shown = None
        self._last = 0.0

    def next(self, weights: int, *, at_once: bool = False) -> Box | None:
        """The tile to predict now, if it is time for one.

        Parameters
        ----------
        weights
            A number that changes with the weights: what was shown is not shown again.
        at_once
            No time has to be left for learning.
        """
        if self._view is None:
            return None
        pause = self._cost if self._tiles else max(REFRESH_EVERY, self._cost)
        if not at_once and time.monotonic() - self._last < pause:
            return None
        if not self._tiles and self._shown != (self._view, weights):
            self._shown = (self._view, weights)
            self._tiles.extend(tiles_of(self._view, TILE_SIDE))
        return self._tiles[0] if self._tiles else None

    def done(self, seconds: float) -> None:
        """The tile that `next` gave was predicted in so many seconds."""
        self._tiles.popleft()
        self._last = time.monotonic()
        self._cost = seconds

    def complete(self, weights: int) -> bool:
        """Whether all of the view shows these weights."""
        return self._view is None or (self._shown == (self._view, weights) and not self._tiles)


class WholeSlabs:
    """Predict all: every tile of some slabs, in order.

    Tiles are made slab by slab: there may be very many slabs.
    """

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._boxes = boxes
        self._number = 0
        self._tiles = self._of_this()
        self._began = time.monotonic()

    @property
    def slab(self) -> Box | None:
        """The slab in hand; None when all are done."""
        return self._boxes[self._number] if self._number < len(self._boxes) else None

    @property
    def next(self) -> Box | None:
        """The tile to predict now; None when all are done."""
        return self._tiles[0] if self._tiles else None

    def upcoming(self, n: int) -> Sequence[Box]:
        """The slab in hand and up to `n` after it."""
        return self._boxes[self._number : self._number + n + 1]

    def done(self) -> None:
        """`next` was predicted."""
        self._tiles.popleft()
        if not self._tiles:
            self.skip_slab()

    def skip_slab(self) -> None:
        """Leave out the rest of the slab of `next`."""
        self._number += 1
        self._tiles = self._of_this()

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        done = float(self._number)
        if (slab := self.slab) is not None:
            done += 1 - sum(tile.size for tile in self._tiles) / slab.size
        if not done:
            return 0.0, None
        elapsed = time.monotonic() - self._began
        total = len(self._boxes)
        return done / total, elapsed / done * (total - done)

    def _of_this(self) -> deque[Box]:
        return deque(tiles_of(self.slab, TILE_SIDE)) if self.slab is not None else deque()
