"""What the scores on held-out strokes say: go on, rest, or warn the person."""

from __future__ import annotations

from napari_msd.training.plateau import StopRule
from napari_msd.training.score_watch import ScoreWatch


class Judgement:
    """Hears of every measurement and every change of the strokes."""

    def __init__(self) -> None:
        self._stop = StopRule()
        self._watch = ScoreWatch()

    def note(self, step: int, score: float | None) -> None:
        """The newest weights were measured at `step`; `score` None: nothing is held out."""
        self._stop.note(step, score)
        self._watch.note(score)

    def strokes_changed(self, step: int) -> None:
        """There is something new to learn."""
        self._stop.wake(step)
        self._watch.strokes_changed()

    def rouse(self, step: int) -> None:
        """Be patient anew: the person asks for more training."""
        self._stop.wake(step)

    @property
    def rests(self) -> bool:
        """Whether more training is not worth its while, until a stroke changes."""
        return self._stop.rests

    @property
    def warning(self) -> str:
        """A sentence when the score fell clearly, else empty."""
        return self._watch.sentence
