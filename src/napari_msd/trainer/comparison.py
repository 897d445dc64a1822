"""Comparing models on the strokes that are held out now, one model per unit of work."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from napari_msd.images.model_file import ModelRecord
from napari_msd.trainer.error_text import sentence_of
from napari_msd.training import Trainer


class Comparison:
    """Models to be measured, and what they scored so far.

    Parameters
    ----------
    models
        Bytes of model files; they may be broken, or made for other images.
    request
        Number of the question.
    """

    def __init__(self, models: Sequence[bytes], request: int = 0) -> None:
        self.request = request
        self._waiting = deque(enumerate(models))
        self.scores: dict[int, float | None] = {}
        """Index -> mean IoU; None where there is none."""

    @property
    def done(self) -> bool:
        """Whether every model was measured."""
        return not self._waiting

    def work(self, trainer: Trainer | None) -> None:
        """Measure the next model on what `trainer` holds out."""
        if not self._waiting:
            return
        index, model = self._waiting.popleft()
        self.scores[index] = None
        if trainer is None:
            return
        try:
            self.scores[index] = trainer.score_of(ModelRecord.from_bytes(model))
        except Exception as error:
            if not sentence_of(error):
                raise  # else broken, of other images, or too large for the device: no score
