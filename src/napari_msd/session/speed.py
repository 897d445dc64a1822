"""The speed of training, averaged over a few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_msd.trainer.messages import Progress

_NEWEST = 0.15
"""Share of the newest figure in the average: single figures jump by a factor of ten."""


class Speed:
    """A running average of the training steps per second, as the trainer reports them."""

    def __init__(self) -> None:
        self._average: float | None = None

    @property
    def steps_per_second(self) -> float | None:
        """The average; ``None`` while nothing trains."""
        return self._average

    def hear(self, progress: Progress) -> None:
        """Take the newest figure into account."""
        if progress.state != "training":
            self._average = None
        elif progress.steps_per_second > 0:
            before, now = self._average, progress.steps_per_second
            self._average = now if before is None else before + _NEWEST * (now - before)

    def reset(self) -> None:
        """Forget the average, because training ended."""
        self._average = None
