"""What the trainer does next: act on a request, learn a step, or predict a tile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import assert_never

import torch

from napari_msd.core.box import Box, SourceId
from napari_msd.core.errors import BadInputError, ImageError, MSDError
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.images.model_file import ModelRecord
from napari_msd.native import get_threads
from napari_msd.native.aside import number_set_aside
from napari_msd.native.device import choose_device
from napari_msd.trainer.checkpoint_sender import CheckpointSender
from napari_msd.trainer.coarse_view import Area
from napari_msd.trainer.comparison import Comparison
from napari_msd.trainer.error_text import sentence_of
from napari_msd.trainer.events import Event, Finished, Measured, Notice, Ready
from napari_msd.trainer.inference_scheduler import InferenceScheduler
from napari_msd.trainer.learning import Learning
from napari_msd.trainer.limits import DROP_EVERY
from napari_msd.trainer.pixel_failure import PixelFailure
from napari_msd.trainer.pixel_intake import PixelIntake
from napari_msd.trainer.predict_all import BoxesPrediction
from napari_msd.trainer.progress_reports import ProgressReporter
from napari_msd.trainer.requests import (
    Cancel,
    Measure,
    Open,
    OverlayTaken,
    Pause,
    PixelsPart,
    PixelsUnavailable,
    PredictAll,
    Refresh,
    Request,
    SetLive,
    SetStrokes,
    SetUncertainty,
    SetView,
    ShowMe,
    UpdateOnce,
)
from napari_msd.training import Trainer, describe_device
from napari_msd.training.record import versions

TOO_LARGE = "There is too little memory for this part of the image; close other programs."


class Engine:
    """The trainer's state: one epoch, and the work in hand.

    `handle` takes requests (`napari_msd.trainer.protocol.Trainer` says what they mean), `work` does
    one small unit of work: one training step or one tile. Events go through `emit`.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.computes_on_cpu = True
        """Whether work shows in the processor time of this process."""
        self._emit = emit
        self._reporter = ProgressReporter(emit)
        self._sender = CheckpointSender(emit)
        self._scheduler = InferenceScheduler(emit)
        self._settings = Settings()
        self._spaces: dict[SourceId, Space] = {}
        self._trainer: Trainer | None = None
        self._learning: Learning | None = None
        self._all: BoxesPrediction | None = None
        self._comparison: Comparison | None = None
        self._intake: PixelIntake | None = None
        self._refits = False
        self._since_drop = 0
        self._set_aside = number_set_aside()
        self._obstacle = "Choose an image and paint a few strokes first."

    # --- requests ------------------------------------------------------------------------

    def announce_device(self) -> None:
        """Say which device will be used, and why."""
        self._set_aside = number_set_aside()
        device = describe_device(self._settings.device)
        self.computes_on_cpu = choose_device(self._settings.device)[0].type == "cpu"
        # see cores_to_ourselves; this process is all ours
        torch.set_num_threads(1 if device.backend == "cpu" else get_threads())
        used = {name: str(version) for name, version in versions().items()}  # torch's is no str
        self._emit(Ready(device.text, device.reason, device.backend, os.getpid(), used))

    def handle(self, request: Request) -> None:
        """Carry out one request.

        Raises
        ------
        MSDError
            One sentence for the person, when it cannot be done.
        """
        match request:
            case Open():
                self._open(request)
            case SetStrokes(blocks):
                self._paint(blocks)
            case PixelsPart():
                self._add_part(request)
            case PixelsUnavailable(scale=scale) if scale > 1:
                pass  # the view is answered at full resolution only
            case PixelsUnavailable(box, step, why):
                self._fail(box, PixelFailure(step, why))
            case SetView(box):
                self._scheduler.look_at(box)
                self._drop_unneeded()
            case SetLive(on):
                self._set_live(on)
            case UpdateOnce():
                self._new_learning().update()
            case PredictAll(boxes):
                self._predict_all(boxes)
            case SetUncertainty(on):
                self._scheduler.set_uncertainty(on)
            case Refresh():
                self._scheduler.show_view()
            case ShowMe():
                if self._trainer is not None:
                    self._scheduler.survey_slab(self._trainer)
            case Measure(models, number):
                self._scheduler.ask_again()
                self._comparison = Comparison(models, number)
            case Cancel():
                self._cancel()
            case Pause():
                self.end_work()
            case OverlayTaken():
                self._scheduler.credit.taken()
            case _ as unknown:
                assert_never(unknown)

    def _open(self, request: Open) -> None:
        self._trainer = self._learning = self._intake = self._comparison = self._all = None
        self._settings = request.settings
        self._spaces = request.spaces
        self._scheduler.open(self._spaces)
        refit = request.fit_normalisation
        try:
            start = ModelRecord.from_bytes(request.model) if request.model else None
            given = next(iter(self._spaces.values())).network_input
            trainer = Trainer(self._settings, given, start, fit_normalisation=refit)
        except MSDError as error:
            self._obstacle = str(error)  # said again when work is asked for
            raise
        for source, space in self._spaces.items():
            trainer.add_source(source, space)
        self._trainer = trainer
        self._learning = Learning(
            trainer, self._scheduler, self._sender, self._reporter, self._report
        )
        self._refits = start is not None and refit
        self._sender.restart("" if self._refits else trainer.network_id)
        self._intake = PixelIntake(trainer)
        self.announce_device()

    def _paint(self, blocks: tuple[Painted, ...]) -> None:
        if self._trainer is None:
            return
        for block in blocks:
            space = self._spaces.get(block.box.source)
            if space is None or space.ndim != block.box.ndim:
                continue  # of an image that is not open
            inside = block.box.clip(space.shape)
            if not inside.empty:
                self._trainer.paint(inside, block.values[inside.within(block.box).slices])
                self._scheduler.view.hurry()

    def _add_part(self, part: PixelsPart) -> None:
        trainer, intake = self._trainer, self._intake
        if trainer is None or intake is None:
            return
        try:
            pixels = intake.add(part)
        except MemoryError:
            if part.scale > 1:
                return  # the view is answered at full resolution only
            self._fail(part.box, PixelFailure("used", TOO_LARGE))
            return
        if pixels is not None and part.scale > 1:
            self._scheduler.arrived_coarsely(Area(part.box, part.scale), pixels)
            return
        if pixels is None or not self._scheduler.arrived(part.box):
            return
        try:
            notices = intake.take(part, pixels)
        except (ImageError, MemoryError) as error:
            self._fail(part.box, PixelFailure("used", str(error) or TOO_LARGE))
            return
        if (
            self._refits and trainer.normalisation is not None
        ):  # another network now, and a restarted trainer has to go on with it
            self._refits = False
            self._sender.send(trainer, now=True)
        for notice in notices:
            self._emit(notice)

    def _fail(self, box: Box, failure: PixelFailure) -> None:
        """Pixels cannot come: whoever waits for them says so, or it is said here.

        Of a slab that comes in blocks it is said once; the other blocks may still come.
        """
        told = self._scheduler.fail(box, failure)
        learning = self._learning
        if self._trainer is None or learning is None:
            return
        self._trainer.leave_out(box)
        if self._all is not None and self._all.tile is not None:
            return
        if learning.on and box in self._trainer.missing():
            return
        if self._comparison is None and learning.updating:
            raise BadInputError(failure.sentence)
        if told:
            return
        works = learning.live or self._comparison is not None
        # the work in hand can do without it; at rest it is what the person asked to see
        self._emit(Notice("warning" if works else "error", failure.sentence))

    def _set_live(self, on: bool) -> None:
        if not on:
            self._end_live()
        elif self._learning is None or not self._learning.live:
            self._new_learning().go_live()

    def _new_learning(self) -> Learning:
        self._scheduler.ask_again()
        if self._learning is None:
            raise BadInputError(self._obstacle)
        return self._learning

    def _predict_all(self, boxes: tuple[Box, ...]) -> None:
        trainer = self._trainer
        if trainer is None or not trainer.learned:
            raise BadInputError(
                "There is no trained network yet: paint strokes and press Live, or load a model."
            )
        self._scheduler.ask_again()
        self._all = BoxesPrediction(boxes, trainer, self._scheduler, self._emit)

    def _cancel(self) -> None:
        self._scheduler.stop()
        self._comparison = None
        if self._all is not None:
            self._end_predict_all()
            self._report()
            self._emit(Finished("predict", cancelled=True))
        if self._learning is not None and self._learning.updating:
            self._end_update(self._learning, cancelled=True)
        self._end_live()

    # --- work ----------------------------------------------------------------------------

    def work(self) -> bool:
        """Do one small unit of work; False if there is none before the next request."""
        did = self._work()
        if self._set_aside != number_set_aside():
            self.announce_device()  # something else computes in a core's place
        if self._trainer is not None and (remark := self._trainer.take_remark()):
            self._emit(Notice("warning", remark))
        return did

    def _work(self) -> bool:
        if self._comparison is not None and self._compare_next(self._comparison):
            return True
        if self._all is not None:
            return self._predict_next(self._all)
        trainer, learning = self._trainer, self._learning
        if trainer is None or learning is None:
            return False
        if self._scheduler.survey(trainer):
            return True
        if not learning.on:
            return self._scheduler.refresh_at_rest(trainer)
        did = learning.work()
        if learning.update_over:
            self._end_update(learning)
        return did

    def end_work(self) -> None:
        """Drop the work in hand without an answer; what was learned stays."""
        if self._learning is not None:
            self._learning.live = False
            self._learning.stop_update()
        self._end_predict_all()
        self._scheduler.give_up()
        self._report()

    def _compare_next(self, comparison: Comparison) -> bool:
        """Measure one model, once the painted slabs are here."""
        missing = self._trainer.missing() if self._trainer is not None else []
        missing = [box for box in missing if box not in self._scheduler.failed]
        for box in missing:
            self._scheduler.want(box)
        if missing:
            return False
        comparison.work(self._trainer)
        if comparison.done:
            self._comparison = None
            self._emit(Measured(comparison.scores, comparison.request))
        return True

    def _predict_next(self, work: BoxesPrediction) -> bool:
        before = work.slab
        if not work.work():
            return False
        if work.tile is None:
            self._report()
            self._end_predict_all()
            self._emit(Finished("predict"))
        elif self._reporter.due:
            self._report()
        self._since_drop += 1
        if self._since_drop >= DROP_EVERY or work.slab != before:
            self._since_drop = 0
            self._drop_unneeded()
        return True

    def _drop_unneeded(self) -> None:
        if self._trainer is not None:
            upcoming = self._all.upcoming if self._all is not None else ()
            self._scheduler.drop_unneeded(self._trainer, upcoming)

    # --- the end of work -----------------------------------------------------------------

    def _end_live(self) -> None:
        """Answer the request to stop, whether or not there was something to be stopped."""
        if self._learning is not None and self._learning.live:
            self._learning.live = False
            self._send_checkpoint()
        self._report()
        self._emit(Finished("stop"))

    def _end_predict_all(self) -> None:
        if self._all is not None:
            self._all = None
            self._scheduler.want_none_ahead()
            self._drop_unneeded()

    def _end_update(self, learning: Learning, *, cancelled: bool = False) -> None:
        learning.stop_update()
        self._send_checkpoint()
        self._report()
        self._emit(Finished("update", cancelled))

    def _send_checkpoint(self) -> None:
        """Send the newest network; what prevents it is said before the end of the work is."""
        try:
            if self._trainer is not None:
                self._sender.send(self._trainer, now=True)
        except Exception as error:
            if not (sentence := sentence_of(error)):
                raise
            self._emit(Notice("error", sentence))

    # --- reporting -----------------------------------------------------------------------

    def _report(self) -> None:
        learning = self._learning
        if learning is None:
            self._reporter.report(None, "idle")
            return
        doing = self._all or learning
        self._reporter.report(self._trainer, learning.state, learning.needs, *doing.remaining)
