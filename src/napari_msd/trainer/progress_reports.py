"""Telling the viewer how the work stands, a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_msd.trainer.events import Event, Progress, TrainerState
from napari_msd.training import Trainer

REPORT_EVERY = 0.25
"""Seconds between two reports while work is going on."""


class ProgressReporter:
    """Gathers losses and the rate of steps between two `Progress` events."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._losses: list[float] = []
        self._last = 0.0
        self._last_step = 0

    def restart(self, step: int) -> None:
        """Begin to measure anew at training step `step`."""
        self._losses.clear()
        self._last = time.monotonic()
        self._last_step = step

    def note_loss(self, loss: float) -> None:
        """A training step was done."""
        self._losses.append(loss)

    @property
    def due(self) -> bool:
        """Whether the last report is old."""
        return time.monotonic() - self._last >= REPORT_EVERY

    def report(
        self,
        trainer: Trainer | None,
        state: TrainerState,
        needs: str = "",
        fraction: float | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Send a `Progress` event; see there for the arguments."""
        if trainer is None:
            self._emit(Progress(state, needs=needs))
            return
        elapsed = time.monotonic() - self._last
        n = len(self._losses)
        self._emit(
            Progress(
                state,
                step=trainer.steps,
                loss=sum(self._losses) / n if n else None,
                held_out_iou=trainer.kept_scores.iou,
                iou_margin=trainer.kept_scores.margin,
                iou_pieces=trainer.kept_scores.pieces,
                unmeasured=trainer.unmeasured,
                warning=trainer.early_stopping.warning,
                score=trainer.scores.mean,
                best_score=trainer.kept_scores.mean,
                steps_per_second=(trainer.steps - self._last_step) / elapsed if n else 0.0,
                needs=needs,
                fraction=fraction,
                seconds_left=seconds_left,
            )
        )
        self.restart(trainer.steps)
