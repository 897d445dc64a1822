"""Notices when the held-out score falls, so that the person hears of it."""

from __future__ import annotations

from collections import deque

CLEAR_FALL = 0.05
"""A fall of the mean IoU (0..1) by more than this is told."""

RECENT = 5
"""So many measurements are looked at together: one low one alone is noise."""

TIME_TO_LEARN = 20
"""Measurements that new strokes may take to be learned before their score is judged."""


class ScoreWatch:
    """Compares the newest scores with the best ones, since the last stroke and before it."""

    def __init__(self) -> None:
        self._before: float | None = None
        self._best: float | None = None
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._measured = 0

    def strokes_changed(self) -> None:
        """The strokes are others: what was the best so far is what came before."""
        if self._measured >= RECENT:  # many strokes in a row are one change
            self._before = self._best
        self._best = None
        self._recent.clear()
        self._measured = 0

    def note(self, score: float | None) -> None:
        """Held-out strokes were measured; `score` is None if there are none."""
        if score is None:
            return
        self._measured += 1
        self._recent.append(score)
        self._best = score if self._best is None else max(self._best, score)

    @property
    def sentence(self) -> str:
        """What to tell the person; empty while nothing fell."""
        if self._best is None:
            return ""
        learned = self._measured >= TIME_TO_LEARN
        if learned and self._before is not None and self._best < self._before - CLEAR_FALL:
            return (
                f"The score on held-out strokes fell from {self._before:.2f} to {self._best:.2f} "
                "with the last strokes: look whether they are right. History goes back."
            )
        now = max(self._recent)
        if len(self._recent) == RECENT and now < self._best - CLEAR_FALL:
            return (
                f"Training on made it worse ({now:.2f} on held-out strokes, best "
                f"{self._best:.2f}): the best network is shown and kept."
            )
        return ""
