"""Live and Update once: when to learn, when to wait, when to rest."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_msd.core.errors import BadInputError
from napari_msd.trainer.checkpoint_sender import CheckpointSender
from napari_msd.trainer.events import TrainerState
from napari_msd.trainer.inference_scheduler import InferenceScheduler
from napari_msd.trainer.progress_reports import ProgressReporter
from napari_msd.training import Trainer

UPDATE_SECONDS = 5.0
"""How long Update once learns before it shows the result."""


class Learning:
    """The learning of one session; `work` does one step, or shows a tile.

    Parameters
    ----------
    trainer
        Learns.
    scheduler, sender, reporter
        Show it, send checkpoints, and measure its rate.
    report
        Tells the viewer how the work stands.
    """

    def __init__(
        self,
        trainer: Trainer,
        scheduler: InferenceScheduler,
        sender: CheckpointSender,
        reporter: ProgressReporter,
        report: Callable[[], None],
    ) -> None:
        self._trainer = trainer
        self._scheduler = scheduler
        self._sender = sender
        self._reporter = reporter
        self._report = report
        self.live = False
        self.update_over = False
        """Whether Update once has shown its result."""
        self._update_ends: float | None = None
        self._paused = False
        self._needs = ""

    # --- how it stands -------------------------------------------------------------------

    @property
    def updating(self) -> bool:
        """Whether Update once is under way."""
        return self._update_ends is not None

    @property
    def on(self) -> bool:
        """Whether anything is to be learned now."""
        return self.live or self.updating

    @property
    def needs(self) -> str:
        """What it waits for, as a sentence."""
        return self._needs if self.on else ""

    @property
    def state(self) -> TrainerState:
        """For the window."""
        if self.needs:
            return "waiting"
        learns = self.updating or (self.live and not self._paused)
        return "training" if learns else "idle"

    @property
    def remaining(self) -> tuple[float | None, float | None]:
        """Share of Update once that is done (0..1), and the seconds left."""
        if self._update_ends is None:
            return None, None
        left = max(0.0, self._update_ends - time.monotonic())
        return 1 - left / UPDATE_SECONDS, left

    # --- requests ------------------------------------------------------------------------

    def go_live(self) -> None:
        """Learn until asked to stop."""
        self.live = True
        self._begin()

    def update(self) -> None:
        """Learn for a few seconds, then show the result.

        Raises
        ------
        BadInputError
            If there are too few strokes.
        """
        self._update_ends = time.monotonic() + UPDATE_SECONDS
        self.update_over = False
        self._begin()

    def stop_update(self) -> None:
        """End Update once."""
        self._update_ends = None
        self.update_over = False

    def _begin(self) -> None:
        self._needs = self._trainer.needs()
        if self._needs and self.updating:
            raise BadInputError(self._needs)
        self._paused = False
        self._trainer.early_stopping.resume(self._trainer.steps)
        self._reporter.restart(self._trainer.steps)
        self._report()

    # --- work ----------------------------------------------------------------------------

    def work(self) -> bool:
        """Do one small unit of work; False if there is none before the next request.

        Raises
        ------
        BadInputError
            If pixels that strokes need are not to be had.
        """
        if self._waits():
            return False
        if self._update_ends is not None:
            if time.monotonic() >= self._update_ends:
                return self._show_update()
        elif self._pauses():
            return self._scheduler.refresh(self._trainer, alone=True)
        if not (self._trainer.learned and self._scheduler.refresh(self._trainer)):
            self._learn()
        return True

    def _waits(self) -> bool:
        """Whether learning needs something first; asks for it."""
        needs = self._trainer.needs()
        if needs != self._needs:
            self._needs = needs
            self._report()
        if needs:
            return True
        missing = self._trainer.missing()
        for box in missing:
            if failure := self._scheduler.failed.get(box):
                raise BadInputError(failure.sentence)
            self._scheduler.want(box)
        if missing and self.updating:
            self._update_ends = time.monotonic() + UPDATE_SECONDS
        return bool(missing)

    def _pauses(self) -> bool:
        """Whether Live has nothing to do until the next stroke; reports when that changes."""
        if self._trainer.early_stopping.stopped != self._paused:
            self._paused = self._trainer.early_stopping.stopped
            if self._paused:
                self._sender.send(self._trainer, now=True)
            self._report()
        return self._paused

    def _learn(self) -> None:
        self._reporter.note_loss(self._trainer.step())
        if self._reporter.due:
            self._report()
        self._sender.send(self._trainer)

    def _show_update(self) -> bool:
        """The end of Update once: the kept weights, on all of the view."""
        if self._trainer.measured_steps != self._trainer.steps:
            self._trainer.measure()
        if self._scheduler.view.complete(self._trainer.weights_shown):
            self.update_over = True
            return True
        return self._scheduler.refresh(self._trainer)
