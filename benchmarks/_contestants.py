"""What takes part in the scribble race, and our network as one that does.

The clock of a contestant runs while it learns, and while it predicts for an answer, not while
we score.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from _cases import Array, Case, Labels

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.inference import SlabPixels, channels_first
from napari_msd.training import Trainer

Measure = Literal["s", "steps"]
"""What the amount of training is counted in: seconds, or training steps."""


@dataclass(frozen=True)
class Answer:
    """Labels of both images, and what the clock said when those of the painted one were there."""

    seconds: float
    here: Labels
    there: Labels


class Contestant(Protocol):
    """Learns from strokes on the painted image of a case, and answers for both images."""

    def answer(self, strokes: Labels) -> Answer:
        """Learn from all strokes, old and new: uint8 (Y, X), 0 = unpainted."""


class Network:
    """Ours, in one process and without a window."""

    def __init__(self, case: Case, settings: Settings, measure: Measure) -> None:
        image = case.here[0]
        self._case, self._measure = case, measure
        began = time.perf_counter()
        self._trainer = Trainer(settings, NetworkInput(1 if image.ndim == 2 else image.shape[2]))
        self._trainer.set_pixels(Box.whole(0, image.shape[:2]), image)
        self._seconds = time.perf_counter() - began
        self._answering = 0.0

    @property
    def spent(self) -> float:
        """Seconds on the clock, or training steps made."""
        return self._seconds if self._measure == "s" else self._trainer.steps

    def paint(self, strokes: Labels) -> None:
        """All strokes, old and new."""
        began = time.perf_counter()
        self._trainer.paint(Box.whole(0, strokes.shape), strokes)
        self._seconds += time.perf_counter() - began

    def answer(self, mark: float) -> Answer:
        """Learn on, so that the answer is there when the clock says `mark` seconds.

        Or until `mark` training steps are made. Mark 0 answers with what there is before the
        first step. Earlier where training comes to rest before, as it does in the window.
        """
        trainer, began = self._trainer, time.perf_counter() - self._seconds
        while not trainer.learned or (
            self._goes_on(time.perf_counter() - began, mark) and not trainer.early_stopping.stopped
        ):
            trainer.step()
        learned = time.perf_counter() - began
        here = self._predict(self._case.here)
        self._seconds = time.perf_counter() - began
        self._answering = self._seconds - learned
        return Answer(self._seconds, here, self._predict(self._case.there))

    def _goes_on(self, seconds: float, mark: float) -> bool:
        if self._measure == "steps":
            return self._trainer.steps < mark
        return seconds < mark - self._answering

    def _predict(self, half: tuple[Array, Labels]) -> Labels:
        image, truth = half
        pixels = SlabPixels.whole(channels_first(image))
        return self._trainer.predictor().labels(pixels, Box.whole(0, truth.shape))
