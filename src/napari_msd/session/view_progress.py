"""How much of the visible part of the image was predicted since its prediction began anew."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.core.box import Box

_QUICK_S = 1.0
"""A prediction of the view that takes no longer than this is not worth a progress bar."""
_STALE_S = 15.0
"""After this time without a block, the prediction of the view has been given up."""


class ViewProgress:
    """Follows the predicted blocks: a block that comes again begins a new round.

    Parameters
    ----------
    clock
        Returns the time in seconds; set only by tests.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._boxes: set[Box] = set()
        self._began = self._last = clock()

    def restart(self) -> None:
        """Begin anew, because another part is visible or work has ended."""
        self._boxes.clear()
        self._began = self._last = self._clock()

    def note(self, box: Box) -> None:
        """A block was predicted."""
        if box in self._boxes:
            self.restart()
        self._boxes.add(box)
        self._last = self._clock()

    def fraction(self, view: Box) -> float | None:
        """How much of `view` is updated (0..1); ``None`` if all is, or if it is quick."""
        now = self._clock()
        if not self._boxes or now - self._began < _QUICK_S or now - self._last > _STALE_S:
            return None
        parts = (box.intersect(view) for box in self._boxes if box.ndim == view.ndim)
        done = sum(part.size for part in parts if not part.empty) / view.size
        return done if done < 1 else None
