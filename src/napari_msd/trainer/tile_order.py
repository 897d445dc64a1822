"""Which tile is predicted next: of what is on screen, or of whole planes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from napari_msd.core.planes import PlaneKey, Region, whole
from napari_msd.inference import tiles_of
from napari_msd.trainer.limits import TILE_SIDE
from napari_msd.trainer.requests import View

REFRESH_EVERY = 0.1
"""Seconds from one refresh of the view to the next; more are not seen."""

Tile = tuple[PlaneKey, Region]


class ViewRefresh:
    """Predicts what is on screen again whenever there are new weights.

    Predicting takes at most half of the time: after each tile learning goes on
    for as long as the tile took.
    """

    def __init__(self) -> None:
        self._view: View | None = None
        self._tiles: deque[Tile] = deque()
        self._shown: tuple[View, int] | None = None
        self._last = 0.0
        self._cost = 0.0

    @property
    def plane(self) -> PlaneKey | None:
        """The plane on screen."""
        return self._view.plane if self._view is not None else None

    def look_at(self, view: View | None) -> bool:
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

    @property
    def centre(self) -> tuple[float, float] | None:
        """Middle (Y, X) of what is on screen."""
        if self._view is None:
            return None
        r = self._view.region
        return (r.top + r.bottom) / 2, (r.left + r.right) / 2

    def next(
        self, plane_shape: tuple[int, int], weights: int, *, at_once: bool = False
    ) -> Tile | None:
        """The tile to predict now, if it is time for one.

        Parameters
        ----------
        plane_shape
            (Y, X) of the plane.
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
            region = self._view.region.clip(plane_shape)
            self._tiles.extend((self._view.plane, tile) for tile in tiles_of(region, TILE_SIDE))
        return self._tiles[0] if self._tiles else None

    def done(self, seconds: float) -> None:
        """The tile that `next` gave was predicted in so many seconds."""
        self._tiles.popleft()
        self._last = time.monotonic()
        self._cost = seconds

    def complete(self, weights: int) -> bool:
        """Whether all of the view shows these weights."""
        return self._view is None or (self._shown == (self._view, weights) and not self._tiles)


class WholePlanes:
    """Predict all: every tile of some planes, in order.

    Tiles are made plane by plane: there may be very many planes.
    """

    def __init__(self, planes: Sequence[PlaneKey], plane_shape: tuple[int, int]) -> None:
        self._planes = planes
        self._regions = tiles_of(whole(plane_shape), TILE_SIDE)
        self._plane = self._tile = 0
        self._began = time.monotonic()

    @property
    def next(self) -> Tile | None:
        """The tile to predict now; None when all are done."""
        if self._plane == len(self._planes):
            return None
        return self._planes[self._plane], self._regions[self._tile]

    def upcoming(self, n: int) -> Sequence[PlaneKey]:
        """The plane of `next` and up to `n` after it."""
        return self._planes[self._plane : self._plane + n + 1]

    def done(self) -> None:
        """`next` was predicted."""
        self._tile += 1
        if self._tile == len(self._regions):
            self.skip_plane()

    def skip_plane(self) -> None:
        """Leave out the rest of the plane of `next`."""
        self._plane += 1
        self._tile = 0

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        total = len(self._planes) * len(self._regions)
        done = self._plane * len(self._regions) + self._tile
        if not done:
            return 0.0, None
        elapsed = time.monotonic() - self._began
        return done / total, elapsed / done * (total - done)
