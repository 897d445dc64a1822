"""Giving the viewer new best weights: they survive this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_msd.training import Trainer
from napari_msd.worker.messages import Event, ModelKept

SEND_MODEL_EVERY = 1.0
"""Seconds between two models sent to the viewer, which keeps them for a restart."""


class ModelSender:
    """Sends the kept weights when they are others than those sent last."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._sent_steps = -1
        self._sent_at = 0.0

    def restart(self, known_steps: int = -1) -> None:
        """Another network; the viewer has its weights at `known_steps`, if any."""
        self._sent_steps = known_steps

    def send(self, trainer: Trainer, *, now: bool = False) -> None:
        """Send the kept weights if they are new; `now`: however short ago the last were sent."""
        if not trainer.learned or trainer.kept_steps == self._sent_steps:
            return
        if now or time.monotonic() - self._sent_at >= SEND_MODEL_EVERY:
            self._sent_at = time.monotonic()
            self._sent_steps = trainer.kept_steps
            self._emit(
                ModelKept(
                    trainer.record().to_bytes(),
                    trainer.kept_steps,
                    trainer.kept_scores.mean,
                    *trainer.kept_amount,
                )
            )
