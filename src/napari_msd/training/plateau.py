"""When training may pause: the held-out strokes have stopped improving.

Counted in steps and measurements, never in seconds: a slow machine gets the same network.
"""

from __future__ import annotations

CLEAR_GAIN = 0.002
"""A score (IoU, 0..1) counts as better from here on; less is noise of the measurement."""

PATIENCE = 600
"""Steps without a better score after which training pauses, at least."""

UNMEASURED = 2000
"""Steps after which it pauses where nothing is held out, so that nothing can be measured."""


class StopRule:
    """Patience that grows with what the last success took.

    Training pauses once it has gone on for `PATIENCE` steps without a clearly better
    score, and for as long again as it took to reach the best one: what learns
    slowly is given time. `resume` begins anew, as after a stroke.
    """

    def __init__(self) -> None:
        self._began = 0
        self._best: float | None = None
        self._best_at = 0
        self._now = 0

    def resume(self, step: int) -> None:
        """Start counting again at `step`: strokes changed, or the person asks for more."""
        self._began = self._best_at = self._now = step
        self._best = None

    def note(self, step: int, score: float | None) -> None:
        """Held-out strokes were measured at `step`; `score` is None if there are none."""
        self._now = step
        if score is not None and (self._best is None or score > self._best + CLEAR_GAIN):
            self._best, self._best_at = score, step

    @property
    def stopped(self) -> bool:
        """Whether training is to pause."""
        if self._best is None:
            return self._now - self._began >= UNMEASURED
        patience = max(PATIENCE, self._best_at - self._began)
        return self._now - self._best_at >= patience
