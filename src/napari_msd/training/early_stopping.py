"""Early stopping: pauses training when validation scores stop improving, and warns of a fall."""

from __future__ import annotations

from napari_msd.training.plateau import StopRule
from napari_msd.training.score_watch import ScoreWatch


class EarlyStopping:
    """Gets every validation score and every change of the strokes."""

    def __init__(self) -> None:
        self._stop = StopRule()
        self._watch = ScoreWatch()

    def note(self, step: int, score: float | None) -> None:
        """The newest weights were measured at `step`; `score` None: nothing is held out."""
        self._stop.note(step, score)
        self._watch.note(score)

    def strokes_changed(self, step: int) -> None:
        """There is something new to learn."""
        self._stop.resume(step)
        self._watch.strokes_changed()

    def resume(self, step: int) -> None:
        """Start counting patience again: the person asks for more training."""
        self._stop.resume(step)

    @property
    def stopped(self) -> bool:
        """Whether training is paused until a stroke changes."""
        return self._stop.stopped

    @property
    def warning(self) -> str:
        """A sentence when the score fell clearly, else empty."""
        return self._watch.sentence
