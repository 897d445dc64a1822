"""What the trainer does next: obey a request, learn a step, or predict a tile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch

from napari_msd.config import Settings
from napari_msd.errors import BadInputError, MSDError
from napari_msd.io.model_file import ModelRecord
from napari_msd.native import get_threads
from napari_msd.planes import whole
from napari_msd.training import Trainer, describe_device
from napari_msd.training.record import versions
from napari_msd.worker.comparison import Comparison
from napari_msd.worker.errors import sentence_of
from napari_msd.worker.handing_over import ModelSender
from napari_msd.worker.messages import Event, Finished, Measured, Notice, Ready, TrainerState
from napari_msd.worker.plane_checks import PlaneChecks
from napari_msd.worker.prediction import WholePlanes
from napari_msd.worker.reporting import Reporter
from napari_msd.worker.showing import Showing
from napari_msd.worker.wire import unpack_bytes, unpack_strokes, unpack_view

UPDATE_SECONDS = 5.0
"""How long Update once learns before it shows the result."""


class TrainerLoop:
    """The trainer process's state: one session, and the work in hand.

    `obey` takes requests (`TrainerClient` tells their meaning), `work` does one
    small unit of work: one training step or one tile. Events go through `emit`.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.session = 0
        """Number of the session that is open; the viewer drops late words of an earlier one."""
        self._emit = emit
        self._reporter = Reporter(emit)
        self._sender = ModelSender(emit)
        self._settings = Settings()
        self._n_channels = 1
        self._plane_shape = (0, 0)
        self._trainer: Trainer | None = None
        self._showing = Showing(emit)
        self._live = False
        self._resting = False
        self._update_ends: float | None = None
        self._planes: WholePlanes | None = None
        self._needs = ""
        self._obstacle = "Choose an image and paint a few strokes first."
        self._checks = PlaneChecks(None)
        self._refits = False
        self._comparison: Comparison | None = None

    # --- requests ------------------------------------------------------------------------

    def introduce(self) -> None:
        """Say which device will be used, and why."""
        device = describe_device(self._settings.device)
        # see cores_to_ourselves; this process is all ours
        torch.set_num_threads(1 if device.backend == "cpu" else get_threads())
        self._emit(Ready(device.text, device.reason, device.backend, os.getpid(), versions()))

    def obey(self, name: str, inputs: dict[str, Any]) -> None:
        """Carry out one request.

        Raises
        ------
        MSDError
            One sentence for the person, when it cannot be done.
        """
        handler: Callable[..., None] = getattr(self, f"_obey_{name}")
        handler(**inputs)

    def _obey_open(
        self,
        settings: dict[str, Any],
        plane_shape: list[int],
        n_channels: int,
        slot: Any,
        model: str | None,
        session: int,
        fit_normalisation: bool = False,
    ) -> None:
        self.rest()
        self.session = session
        self._trainer = None
        self._settings = Settings.from_dict(settings)
        self._n_channels = n_channels
        self._plane_shape = (plane_shape[0], plane_shape[1])
        self._showing.open(slot, self._plane_shape)
        try:
            start = ModelRecord.from_bytes(unpack_bytes(model)) if model else None
            self._trainer = Trainer(
                self._settings, n_channels, start, fit_normalisation=fit_normalisation
            )
        except MSDError as error:
            self._obstacle = str(error)  # told again when work is asked for
            raise
        self._refits = start is not None and fit_normalisation
        self._sender.restart("" if self._refits else self._trainer.network_id)
        # of a model whose normalisation is not used nothing is to be expected
        self._checks = PlaneChecks(self._trainer.normalisation)
        self.introduce()

    def _obey_strokes(self, blocks: list[dict[str, Any]]) -> None:
        if self._trainer is None:
            return
        bounds = whole(self._plane_shape)
        for block in map(unpack_strokes, blocks):
            inside = block.region.intersect(bounds)
            if not inside.empty:
                part = inside.shift(-block.region.top, -block.region.left)
                self._trainer.write_strokes(block.plane, inside, block.values[part.slices])

    def _obey_plane(self, plane: list[int], pixels: Any) -> None:
        key = tuple(plane)
        self._showing.arrived(key)
        if self._trainer is None:
            return
        self._trainer.set_plane(key, pixels)
        if self._refits:  # the network is another now, and a restarted trainer has to go on with it
            self._refits = False
            self._sender.send(self._trainer, now=True)
        for notice in self._checks.remarks(self._trainer.planes[key]):
            self._emit(notice)

    def _obey_plane_unreadable(self, plane: list[int], why: str) -> None:
        self._showing.arrived(tuple(plane))
        raise BadInputError(f"This part of the image could not be read: {why}")

    def _obey_view(self, view: dict[str, Any]) -> None:
        self._showing.look_at(unpack_view(view))
        self._drop_unneeded_planes()

    def _obey_uncertainty(self, on: bool) -> None:
        self._showing.set_uncertainty(on)

    def _obey_refresh(self) -> None:
        self._showing.show_view()

    def _obey_show_me(self) -> None:
        if self._trainer is not None:
            self._showing.survey_plane(self._trainer)

    def _obey_live(self, on: bool) -> None:
        if not on:
            self._end_live()
        elif not self._live:
            self._live = True
            self._begin_training()

    def _obey_update_once(self) -> None:
        self._update_ends = time.monotonic() + UPDATE_SECONDS
        self._begin_training()

    def _obey_predict_all(self, planes: list[list[int]]) -> None:
        if self._trainer is None or not self._trainer.learned:
            raise BadInputError(
                "There is no trained network yet: paint strokes and press Live, or load a model."
            )
        self._planes = WholePlanes([tuple(plane) for plane in planes], self._plane_shape)

    def _obey_cancel(self) -> None:
        self._showing.stop()
        self._comparison = None
        if self._planes is not None:
            self._planes = None
            self._report()
            self._emit(Finished("predict", cancelled=True))
        if self._update_ends is not None:
            self._end_update(cancelled=True)
        self._end_live()

    def _obey_overlay_taken(self, session: int) -> None:
        if session == self.session:  # else of another session's block: not what is in the slot now
            self._showing.taken()

    def _obey_measure(self, models: list[str]) -> None:
        self._comparison = Comparison([unpack_bytes(model) for model in models])

    # --- work ----------------------------------------------------------------------------

    def work(self) -> bool:
        """Do one small unit of work; False if there is none before the next request."""
        if self._comparison is not None:
            return self._compare_next(self._comparison)
        if self._planes is not None:
            return self._predict_next(self._planes)
        trainer = self._trainer
        if trainer is None:
            return False
        if self._showing.survey(trainer):
            return True
        if not self._live and self._update_ends is None:
            return self._showing.refresh_at_rest(trainer)
        if self._waits(trainer):
            return False
        if self._update_ends is not None:
            if time.monotonic() >= self._update_ends:
                return self._show_update(trainer)
        elif self._rests(trainer):
            return self._showing.refresh(trainer, alone=True)
        if not (trainer.learned and self._showing.refresh(trainer)):
            self._learn(trainer)
        return True

    def rest(self) -> None:
        """Drop the work in hand; what was learned stays."""
        self._live = False
        self._update_ends = None
        self._planes = None
        self._comparison = None
        self._showing.stop()
        self._report()

    def _compare_next(self, comparison: Comparison) -> bool:
        missing = self._trainer.missing_planes() if self._trainer is not None else set()
        for plane in missing:
            self._showing.want(plane)
        if missing:
            return False
        comparison.work(self._trainer)
        if comparison.done:
            self._comparison = None
            self._emit(Measured(comparison.scores))
        return True

    # --- learning ------------------------------------------------------------------------

    def _begin_training(self) -> None:
        if self._trainer is None:
            raise BadInputError(self._obstacle)
        self._needs = self._trainer.needs()
        if self._needs and self._update_ends is not None:
            raise BadInputError(self._needs)
        self._resting = False
        self._trainer.judgement.rouse(self._trainer.steps)
        self._reporter.restart(self._trainer.steps)
        self._report()

    def _end_live(self) -> None:
        """Answer the request to stop, whether or not there was something to be stopped."""
        if self._live:
            self._live = False
            self._hand_over()
        self._report()
        self._emit(Finished("stop"))

    def _end_update(self, *, cancelled: bool = False) -> None:
        self._update_ends = None
        self._hand_over()
        self._report()
        self._emit(Finished("update", cancelled))

    def _hand_over(self) -> None:
        """Send the newest network; what prevents it is told before the end of the work is."""
        try:
            if self._trainer is not None:
                self._sender.send(self._trainer, now=True)
        except (MSDError, MemoryError) as error:
            self._emit(Notice("error", sentence_of(error)))

    def _waits(self, trainer: Trainer) -> bool:
        """Whether learning needs something first; asks for it."""
        needs = trainer.needs()
        if needs != self._needs:
            self._needs = needs
            self._report()
        if needs:
            return True
        missing = trainer.missing_planes()
        for plane in missing:
            self._showing.want(plane)
        if missing and self._update_ends is not None:
            self._update_ends = time.monotonic() + UPDATE_SECONDS
        return bool(missing)

    def _rests(self, trainer: Trainer) -> bool:
        """Whether Live has nothing to do until the next stroke; tells when that changes."""
        if trainer.judgement.rests != self._resting:
            self._resting = trainer.judgement.rests
            if self._resting:
                self._sender.send(trainer, now=True)
            self._report()
        return self._resting

    def _learn(self, trainer: Trainer) -> None:
        self._reporter.note_loss(trainer.step())
        if self._reporter.due:
            self._report()
        self._sender.send(trainer)

    # --- predicting ----------------------------------------------------------------------

    def _show_update(self, trainer: Trainer) -> bool:
        """The end of Update once: the kept weights, on all of the view."""
        if trainer.measured_steps != trainer.steps:
            trainer.measure()
        if self._showing.view.complete(trainer.weights_shown):
            self._end_update()
            return True
        return self._showing.refresh(trainer)

    def _predict_next(self, planes: WholePlanes) -> bool:
        assert self._trainer is not None
        tile = planes.next
        if tile is not None:
            if not self._showing.can_send(self._trainer, tile):
                return False
            self._showing.send(self._trainer, tile)
            planes.done()
        following = planes.next
        if following is None:
            self._report()
            self._planes = None
            self._emit(Finished("predict"))
        elif self._reporter.due:
            self._report()
        if following is None or (tile is not None and following[0] != tile[0]):
            self._drop_unneeded_planes()
        return True

    def _drop_unneeded_planes(self) -> None:
        following = self._planes.next if self._planes is not None else None
        if self._trainer is not None:
            self._showing.drop_unneeded_planes(self._trainer, following and following[0])

    # --- reporting -----------------------------------------------------------------------

    def _report(self) -> None:
        training = self._live or self._update_ends is not None
        state: TrainerState = "training" if training else "idle"
        if training and self._needs:
            state = "waiting"
        elif self._resting and self._update_ends is None:
            state = "idle"
        fraction: float | None = None
        left: float | None = None
        if self._planes is not None:
            fraction, left = self._planes.remaining
        elif self._update_ends is not None:
            left = max(0.0, self._update_ends - time.monotonic())
            fraction = 1 - left / UPDATE_SECONDS
        needs = self._needs if training else ""
        self._reporter.report(self._trainer, state, needs, fraction, left)
