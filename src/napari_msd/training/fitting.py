"""Training for a given time or number of steps, telling how it stands."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from napari_msd.training.trainer import Trainer

PROGRESS_EVERY = 0.2

LATELY = 50
"""Steps that tell how long the next one may take; some of them look at the held-out strokes."""


@dataclass(frozen=True)
class FitProgress:
    """How a training stands.

    `step` counts training steps over all calls; `loss` is the mean since the last
    progress; `score` the mean IoU (0..1) of the kept weights on held-out strokes,
    None if none are held out; `fraction` (0..1) of the work is done and about
    `seconds_left` remain.
    """

    step: int
    loss: float
    score: float | None
    fraction: float
    seconds_left: float | None


@dataclass(frozen=True)
class TimeBudget:
    """When to stop: `seconds` after the moment `began`, or after `max_steps`, the sooner.

    At least one of them is given; `began` is of `time.monotonic`.
    """

    began: float
    seconds: float | None
    max_steps: int | None

    def over(self, steps: int, reserve: float) -> bool:
        """Whether to stop now: `reserve` seconds are needed after the last step."""
        if self.max_steps is not None and steps >= self.max_steps:
            return True
        return self.seconds is not None and time.monotonic() + reserve >= self.began + self.seconds

    def fraction(self, steps: int) -> float:
        """Share (0..1) that is used up."""
        shares = []
        if self.seconds is not None:
            shares.append((time.monotonic() - self.began) / self.seconds)
        if self.max_steps is not None:
            shares.append(steps / self.max_steps)
        return min(1.0, max(shares))


def learn(trainer: Trainer, budget: TimeBudget) -> Iterator[FitProgress]:
    """Step until the budget is used up; a few times a second, and at the end, say how it stands.

    Whoever iterates may stop at any time; the last step is then not measured yet.

    Raises
    ------
    StrokesError
        If fewer than two classes are painted.
    """
    first, told = trainer.steps, budget.began
    lately: deque[float] = deque(maxlen=LATELY)
    losses: list[float] = []
    over = False
    while not over:
        before = time.monotonic()
        losses.append(trainer.step())
        now = time.monotonic()
        if trainer.steps > first + 1:  # the first step prepares much that the others find done
            lately.append(now - before)
        # room for one more step, and for looking at the result
        over = budget.over(trainer.steps - first, reserve=2 * max(lately, default=0.0))
        if over or now - told >= PROGRESS_EVERY:
            if over and trainer.measured_steps != trainer.steps:
                trainer.measure()
            fraction = budget.fraction(trainer.steps - first)
            elapsed = now - budget.began
            left = elapsed * (1 - fraction) / fraction if fraction > 0 else None
            loss = sum(losses) / len(losses)
            yield FitProgress(trainer.steps, loss, trainer.kept_scores.mean, fraction, left)
            told, losses = now, []
