"""Giving the viewer new best weights: they survive this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_msd.trainer.events import Event, ModelKept
from napari_msd.training import Trainer

SEND_MODEL_EVERY = 1.0
"""Seconds between two models sent to the viewer, which keeps them for a restart."""


class CheckpointSender:
    """Sends the kept network when it is another than the one sent last."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._sent = ""
        self._sent_at = 0.0

    def restart(self, known: str = "") -> None:
        """A session begins; `known` is the id of the network that the viewer has, if any."""
        self._sent = known

    def send(self, trainer: Trainer, *, now: bool = False) -> None:
        """Send the kept network if it is new; `now`: however short ago the last was sent."""
        if not trainer.learned or trainer.network_id == self._sent:
            return
        if now or time.monotonic() - self._sent_at >= SEND_MODEL_EVERY:
            self._sent_at = time.monotonic()
            self._sent = trainer.network_id
            self._emit(
                ModelKept(
                    trainer.record().to_bytes(),
                    trainer.kept_steps,
                    trainer.kept_scores.mean,
                    *trainer.kept_amount,
                    network=trainer.network_id,
                )
            )
