"""Where to paint next: where the network is least sure, away from strokes, never twice.

Uncertainty is remembered as means of small blocks, for every slab that was predicted: a few
kilobytes each, so that choosing among all of them costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation

from napari_msd.core.box import Box, SourceId
from napari_msd.core.space import Slab
from napari_msd.document import BLOCK, Annotation

WINDOW = 4
"""Side of the box shown, in blocks."""

SURE = 0.02
"""Boxes of less mean uncertainty (0..1) teach nothing: they are not shown."""

CHANGED_MUCH = 0.1
"""Once a slab's uncertainty (0..1) changed by this much on average, its places count as new."""

Means = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Suggestion:
    """A box of one slab, and its mean uncertainty (0..1)."""

    box: Box
    uncertainty: float


@dataclass
class _Known:
    """What is known of one slab; `means` is NaN where nothing was predicted yet."""

    means: Means
    shown: list[tuple[int, ...]] = field(default_factory=list)
    when_shown: Means | None = None

    @property
    def window(self) -> tuple[int, ...]:
        """Lengths of a box to show, in blocks: one along Z, since a person looks at a slice."""
        *_, rows, columns = self.means.shape
        return (1,) * (self.means.ndim - 2) + (min(WINDOW, rows), min(WINDOW, columns))


class Suggestions:
    """Chooses boxes of slabs.

    Parameters
    ----------
    shapes
        Lengths of the convolved axes of each source, (Y, X).
    """

    def __init__(self, shapes: Mapping[SourceId, tuple[int, ...]]) -> None:
        self._shapes = dict(shapes)
        self._slabs: dict[Slab, _Known] = {}

    def note(self, box: Box, uncertainty: npt.NDArray[np.uint8]) -> None:
        """Take in a predicted box; blocks it holds only in part count with that part.

        Parameters
        ----------
        box
            A part of one slab.
        uncertainty
            uint8 of the shape of `box` along the convolved axes, 0 to 255.
        """
        shape = self._shapes[box.source]
        slab = Slab.of(box, len(shape))
        known = self._slabs.get(slab)
        if known is None:
            means = np.full([-(-n // BLOCK) for n in shape], np.nan, np.float32)
            known = self._slabs[slab] = _Known(means)
        part = box.last(len(shape))
        sums, sizes, blocks = uncertainty.astype(np.float32), [], []
        for axis, (start, stop) in enumerate(zip(part.start, part.stop, strict=True)):
            touched, cuts = _cuts(start, stop)
            sums = np.add.reduceat(sums, cuts, axis=axis)
            sizes.append(np.diff([*cuts, stop - start]))
            blocks.append(touched)
        known.means[tuple(blocks)] = sums / prod(np.ix_(*sizes)) / 255

    def next(self, annotation: Annotation, shown: Slab | None) -> Suggestion | None:
        """The box that would teach most, on the slab on screen if any there would.

        Boxes with strokes in or beside their middle are left out, and those shown before.
        `None` if there is none left.
        """
        here = [slab for slab in self._slabs if slab == shown]
        elsewhere = [slab for slab in self._slabs if slab != shown]
        for slabs in (here, elsewhere):
            found = [best for slab in slabs if (best := self._best(slab, annotation)) is not None]
            if found:
                return self._show(*max(found))
        return None

    def _best(
        self, slab: Slab, annotation: Annotation
    ) -> tuple[float, Slab, tuple[int, ...]] | None:
        """(mean uncertainty, slab, start) of the window to show, in blocks, if any."""
        known = self._slabs[slab]
        self._forget_if_changed(known)
        painted = annotation.painted_blocks(slab, known.means.shape, BLOCK)
        near = binary_dilation(painted, np.ones((3,) * painted.ndim))
        window = known.window
        means = np.where(near | np.isnan(known.means), 0, known.means)
        score = _windows(means, window)
        middle = tuple((n - 1) // 2 for n in window)
        # what was painted since it was shown is answered
        known.shown = [at for at in known.shown if not near[_plus(at, middle)]]
        inner = zip(middle, score.shape, strict=True)
        score[near[tuple(slice(m, m + n) for m, n in inner)]] = 0
        for at in known.shown:
            ends = zip(at, window, strict=True)
            score[tuple(slice(max(a - n + 1, 0), a + n) for a, n in ends)] = 0
        start = tuple(int(i) for i in np.unravel_index(int(score.argmax()), score.shape))
        best = float(score[start])
        return (best, slab, start) if best > SURE else None

    def _show(self, score: float, slab: Slab, start: tuple[int, ...]) -> Suggestion:
        known = self._slabs[slab]
        known.shown.append(start)
        known.when_shown = known.means.copy()
        first = [i * BLOCK for i in start]
        after = [i * BLOCK for i in _plus(start, known.window)]
        ends = zip(after, self._shapes[slab.source], strict=True)
        return Suggestion(slab.box(first, [min(b, n) for b, n in ends]), score)

    def _forget_if_changed(self, known: _Known) -> None:
        if known.when_shown is None:
            return
        change = np.abs(known.means - known.when_shown)
        change = change[~np.isnan(change)]
        if change.size and float(change.mean()) > CHANGED_MUCH:
            known.shown.clear()
            known.when_shown = None


def _plus(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _cuts(start: int, stop: int) -> tuple[slice, list[int]]:
    """The blocks that pixels ``start..stop-1`` touch, and where each begins among them."""
    first, last = start // BLOCK, (stop - 1) // BLOCK
    return slice(first, last + 1), [
        max(block * BLOCK - start, 0) for block in range(first, last + 1)
    ]


def _windows(values: Means, window: tuple[int, ...]) -> Means:
    """Means over all windows of this shape that lie inside."""
    views = np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), window)
    means: Means = views.mean(axis=tuple(range(-len(window), 0))).astype(np.float32)
    return means
