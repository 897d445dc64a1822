"""Which tile is predicted next: of what is on screen, or of whole boxes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.inference import tiles_of
from napari_msd.trainer.limits import THIN_SIDE, TILE_SHAPE

REFRESH_EVERY = 0.1
"""Seconds from one refresh of the view to the next; more are not seen."""

FEW_TILES = 16
"""After so many tiles the middle of a larger view is shown again, if the network has learned."""


def tiles_of_view(view: Box, convolved: int) -> list[Box]:
    """Tiles of what is on screen, the nearest to its middle first, each within one slab."""
    middle = view.centre
    tiles = [
        tile
        for slab in Slab.all_of(view, convolved)
        for tile in _tiles_within(slab, view, convolved, middle)
    ]
    return sorted(
        tiles,
        key=lambda tile: sum((a - b) ** 2 for a, b in zip(tile.centre, middle, strict=True)),
    )


def _tiles_within(
    slab: Slab, box: Box, convolved: int, middle: Sequence[float] | None = None
) -> list[Box]:
    """Tiles of the part of a box that is in one slab."""
    part = slab.box(box.start[-convolved:], box.stop[-convolved:])
    thin = convolved == 3 and 1 in part.shape[-3:]
    sides = (THIN_SIDE,) * 3 if thin else TILE_SHAPE[convolved]
    return tiles_of(part, (1,) * (part.ndim - convolved) + sides, middle)


class ViewRefresh:
    """Predicts what is on screen again whenever there are new weights.

    Predicting takes at most half of the time: after each tile learning goes on
    for as long as the tile took.

    All of a very large view takes minutes. Newer weights begin again at its middle, after a few
    tiles at first, then after twice as many each time, so that the rest has its turn, too.
    """

    def __init__(self) -> None:
        self._view: Box | None = None
        self._convolved = 2
        self._tiles: deque[Box] = deque()
        self._shown: tuple[Box, int] | None = None
        self._n_done = 0
        self._patience = FEW_TILES
        self._last = 0.0
        self._cost = 0.0

    @property
    def box(self) -> Box | None:
        """What is on screen."""
        return self._view

    def look_at(self, view: Box | None, convolved: int = 2) -> bool:
        """What is on screen; if it is something else it comes next. Returns whether it is.

        `convolved` is the number of axes that the network convolves over.
        """
        if view == self._view:
            return False
        self._view, self._convolved = view, convolved
        self.renew()
        return True

    def renew(self) -> None:
        """Show the view anew, whatever was shown before."""
        self._tiles.clear()
        self._shown = None
        self._last = 0.0
        self.hurry()

    def hurry(self) -> None:
        """The strokes have changed: newer weights are shown soon."""
        self._patience = FEW_TILES

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
        over = not self._tiles
        if self._shown != (self._view, weights) and (over or self._n_done >= self._patience):
            self._patience = FEW_TILES if over else 2 * self._patience
            self._shown, self._n_done = (self._view, weights), 0
            self._tiles = deque(tiles_of_view(self._view, self._convolved))
        return self._tiles[0] if self._tiles else None

    def upcoming(self, n: int) -> list[Box]:
        """The tiles that come next, `n` at most."""
        return list(islice(self._tiles, n))

    def done(self, seconds: float) -> None:
        """The tile that `next` gave was predicted in so many seconds, or cannot be."""
        self._tiles.popleft()
        self._n_done += 1
        self._last = time.monotonic()
        self._cost = seconds

    def complete(self, weights: int) -> bool:
        """Whether all of the view shows these weights."""
        return self._view is None or (self._shown == (self._view, weights) and not self._tiles)


class BoxTiles:
    """Predict all: every tile of some boxes, in order, slab by slab.

    Tiles are made as they are needed: there may be very many of them.

    Parameters
    ----------
    boxes
        Slabs, parts of slabs, or several slabs at once.
    convolved
        Number of axes that the network convolves over.
    """

    def __init__(self, boxes: Sequence[Box], convolved: int) -> None:
        self._tiles = _tiles_in_order(boxes, convolved)
        self._ahead: deque[Box] = deque()
        self._total = sum(box.size for box in boxes)
        self._done = 0
        self._began = time.monotonic()

    @property
    def next(self) -> Box | None:
        """The tile to predict now; None when all are done."""
        upcoming = self.upcoming(0)
        return upcoming[0] if upcoming else None

    def upcoming(self, n: int) -> list[Box]:
        """The tile to predict now and up to `n` after it."""
        while len(self._ahead) <= n and (tile := next(self._tiles, None)) is not None:
            self._ahead.append(tile)
        return [tile for _, tile in zip(range(n + 1), self._ahead, strict=False)]

    def done(self) -> None:
        """`next` was predicted, or is left out."""
        self._done += self._ahead.popleft().size

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        if not self._done:
            return 0.0, None
        elapsed = time.monotonic() - self._began
        return self._done / self._total, elapsed / self._done * (self._total - self._done)


def _tiles_in_order(boxes: Sequence[Box], convolved: int) -> Iterator[Box]:
    for box in boxes:
        for slab in Slab.all_of(box, convolved):
            yield from _tiles_within(slab, box, convolved)
