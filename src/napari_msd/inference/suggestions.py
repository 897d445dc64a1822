"""Where to paint next: where the network is least sure, away from strokes, never twice.

Uncertainty is remembered as means of small blocks, for every plane that was predicted: a few
kilobytes each, so that choosing among all of them costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey, Region
from napari_msd.document.annotation import BLOCK, StrokeStore

WINDOW = 4
"""Side of the region shown, in blocks."""

SURE = 0.02
"""Regions of less mean uncertainty (0..1) teach nothing: they are not shown."""

CHANGED_MUCH = 0.1
"""Once a plane's uncertainty (0..1) changed by this much on average, its places count as new."""

Means = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Suggestion:
    """A region of a plane, and its mean uncertainty (0..1)."""

    plane: PlaneKey
    region: Region
    uncertainty: float


@dataclass
class _Plane:
    """What is known of one plane; `means` is NaN where nothing was predicted yet."""

    means: Means
    shown: list[tuple[int, int]] = field(default_factory=list)
    when_shown: Means | None = None


class Suggestions:
    """Chooses regions of planes of one shape, (Y, X)."""

    def __init__(self, plane_shape: tuple[int, int]) -> None:
        self._plane_shape = plane_shape
        self._planes: dict[PlaneKey, _Plane] = {}

    def note(self, plane: PlaneKey, region: Region, uncertainty: npt.NDArray[np.uint8]) -> None:
        """Take in a predicted rectangle; blocks it holds only in part count with that part.

        Parameters
        ----------
        plane, region
            Where.
        uncertainty
            uint8 of ``region.shape``, 0 to 255.
        """
        known = self._planes.get(plane)
        if known is None:
            shape = tuple(-(-n // BLOCK) for n in self._plane_shape)
            known = self._planes[plane] = _Plane(np.full(shape, np.nan, np.float32))
        rows, row_starts = _cuts(region.top, region.bottom)
        columns, column_starts = _cuts(region.left, region.right)
        sums = np.add.reduceat(uncertainty.astype(np.float32), row_starts, axis=0)
        sums = np.add.reduceat(sums, column_starts, axis=1)
        sizes = np.outer(
            np.diff([*row_starts, region.shape[0]]), np.diff([*column_starts, region.shape[1]])
        )
        known.means[rows, columns] = sums / sizes / 255

    def next(self, strokes: StrokeStore, shown_plane: PlaneKey | None) -> Suggestion | None:
        """The region that would teach most, on the shown plane if any there would.

        Regions with strokes in or beside their middle are left out, and those shown before.
        `None` if there is none left.
        """
        here = [plane for plane in self._planes if plane == shown_plane]
        elsewhere = [plane for plane in self._planes if plane != shown_plane]
        for planes in (here, elsewhere):
            found = [best for plane in planes if (best := self._best(plane, strokes)) is not None]
            if found:
                return self._show(*max(found))
        return None

    def _best(
        self, plane: PlaneKey, strokes: StrokeStore
    ) -> tuple[float, PlaneKey, int, int] | None:
        """(mean uncertainty, plane, row, column) of the window to show, in blocks, if any."""
        known = self._planes[plane]
        self._forget_if_changed(known)
        near = _grown(strokes.painted_blocks(plane, known.means.shape))
        height, width = (min(WINDOW, n) for n in known.means.shape)
        means = np.where(near | np.isnan(known.means), 0, known.means)
        score = _windows(means, height, width) / (height * width)
        y, x = (height - 1) // 2, (width - 1) // 2
        # what was painted since it was shown is answered
        known.shown = [(r, c) for r, c in known.shown if not near[r + y, c + x]]
        score[near[y : y + score.shape[0], x : x + score.shape[1]]] = 0
        for r, c in known.shown:
            score[max(r - height + 1, 0) : r + height, max(c - width + 1, 0) : c + width] = 0
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        best = float(score[row, column])
        return (best, plane, int(row), int(column)) if best > SURE else None

    def _show(self, score: float, plane: PlaneKey, row: int, column: int) -> Suggestion:
        known = self._planes[plane]
        known.shown.append((row, column))
        known.when_shown = known.means.copy()
        height, width = (min(WINDOW, n) for n in known.means.shape)
        region = Region(
            row * BLOCK, column * BLOCK, (row + height) * BLOCK, (column + width) * BLOCK
        )
        return Suggestion(plane, region.clip(self._plane_shape), score)

    def _forget_if_changed(self, known: _Plane) -> None:
        if known.when_shown is None:
            return
        change = np.abs(known.means - known.when_shown)
        change = change[~np.isnan(change)]
        if change.size and float(change.mean()) > CHANGED_MUCH:
            known.shown.clear()
            known.when_shown = None


def _cuts(start: int, stop: int) -> tuple[slice, list[int]]:
    """The blocks that pixels ``start..stop-1`` touch, and where each begins among them."""
    first, last = start // BLOCK, (stop - 1) // BLOCK
    return slice(first, last + 1), [
        max(block * BLOCK - start, 0) for block in range(first, last + 1)
    ]


def _windows(values: Means, height: int, width: int) -> Means:
    """Sums over all windows of `height` x `width` that lie inside."""
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.float64)
    total[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width]
    return (sums + total[:-height, :-width]).astype(np.float32)


def _grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask with all neighbours of its blocks, diagonal ones too."""
    padded = np.pad(mask, 1)
    out = np.zeros_like(mask)
    rows, columns = mask.shape
    for dy in range(3):
        for dx in range(3):
            out |= padded[dy : dy + rows, dx : dx + columns]
    return out
