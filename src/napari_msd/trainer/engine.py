"""What the trainer does next: obey a request, learn a step, or predict a tile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from napari_msd.core.errors import BadInputError, ImageError, MSDError
from napari_msd.core.planes import PlaneKey, box_of, whole
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab
from napari_msd.images.model_file import ModelRecord
from napari_msd.native import get_threads
from napari_msd.native.device import choose_device
from napari_msd.trainer.checkpoint_sender import ModelSender
from napari_msd.trainer.comparison import Comparison
from napari_msd.trainer.error_text import sentence_of
from napari_msd.trainer.inference_scheduler import Showing
from napari_msd.trainer.learning import Learning
from napari_msd.trainer.messages import Event, Finished, Measured, Notice, Ready
from napari_msd.trainer.plane_checks import PlaneChecks
from napari_msd.trainer.predict_all import PredictAll
from napari_msd.trainer.progress_reports import Reporter
from napari_msd.trainer.refusal import How, Refusal
from napari_msd.trainer.wire import unpack_bytes, unpack_strokes, unpack_view
from napari_msd.training import Trainer, describe_device
from napari_msd.training.record import versions


class TrainerLoop:
    """The trainer process's state: one session, and the work in hand.

    `obey` takes requests (`TrainerClient` tells their meaning), `work` does one
    small unit of work: one training step or one tile. Events go through `emit`.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.session = 0
        """Number of the session that is open; the viewer drops late words of an earlier one."""
        self.computes_on_cpu = True
        """Whether work shows in the processor time of this process."""
        self._emit = emit
        self._reporter = Reporter(emit)
        self._sender = ModelSender(emit)
        self._showing = Showing(emit)
        self._settings = Settings()
        self._plane_shape = (0, 0)
        self._trainer: Trainer | None = None
        self._learning: Learning | None = None
        self._all: PredictAll | None = None
        self._comparison: Comparison | None = None
        self._checks = PlaneChecks(None)
        self._refits = False
        self._obstacle = "Choose an image and paint a few strokes first."

    # --- requests ------------------------------------------------------------------------

    def introduce(self) -> None:
        """Say which device will be used, and why."""
        device = describe_device(self._settings.device)
        self.computes_on_cpu = choose_device(self._settings.device)[0].type == "cpu"
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
        self._trainer = self._learning = self._comparison = None
        self._settings = Settings.from_dict(settings)
        self._plane_shape = (plane_shape[0], plane_shape[1])
        self._showing.open(slot, self._plane_shape)
        try:
            start = ModelRecord.from_bytes(unpack_bytes(model)) if model else None
            trainer = Trainer(
                self._settings, n_channels, start, fit_normalisation=fit_normalisation
            )
        except MSDError as error:
            self._obstacle = str(error)  # told again when work is asked for
            raise
        self._trainer = trainer
        self._learning = Learning(
            trainer, self._showing, self._sender, self._reporter, self._report
        )
        self._refits = start is not None and fit_normalisation
        self._sender.restart("" if self._refits else trainer.network_id)
        # of a model whose normalisation is not used nothing is to be expected
        self._checks = PlaneChecks(trainer.known_grey_values)
        self.introduce()

    def _obey_strokes(self, blocks: list[dict[str, Any]]) -> None:
        if self._trainer is None:
            return
        bounds = whole(self._plane_shape)
        for block in map(unpack_strokes, blocks):
            inside = block.region.intersect(bounds)
            if not inside.empty:
                part = inside.shift(-block.region.top, -block.region.left)
                box = box_of(block.plane, inside)
                self._trainer.paint(box, block.values[part.slices].reshape(box.shape))

    def _obey_plane(self, plane: list[int], pixels: Any) -> None:
        key = tuple(plane)
        self._showing.arrived(key)
        trainer = self._trainer
        if trainer is None:
            return
        try:
            self._require_shape(pixels)
            trainer.set_pixels(box_of(key, whole(self._plane_shape)), pixels)
        except ImageError as error:
            self._refuse(key, "used", str(error))
            return
        if self._refits:  # another network now, and a restarted trainer has to go on with it
            self._refits = False
            self._sender.send(trainer, now=True)
        for notice in self._checks.remarks(trainer.slabs[Slab(0, key)]):
            self._emit(notice)

    def _require_shape(self, pixels: Any) -> None:
        if tuple(pixels.shape[:2]) != self._plane_shape:
            expected, found = (" x ".join(map(str, s)) for s in (self._plane_shape, pixels.shape))
            raise ImageError(f"It is {found} pixels large, not {expected} as the image is.")

    def _obey_plane_unreadable(self, plane: list[int], how: How, why: str) -> None:
        self._refuse(tuple(plane), how, why)

    def _refuse(self, key: PlaneKey, how: How, why: str) -> None:
        """A plane is not to be had: whoever waits for it says so, or it is said here."""
        refusal = Refusal(how, why)
        self._showing.refuse(key, refusal)
        learning = self._learning
        if self._trainer is None or learning is None:
            return
        if self._all is not None and self._all.plane == key:
            return
        if learning.on and Slab(0, key) in self._trainer.missing():
            return
        if self._comparison is None and (learning.updating or not learning.live):
            raise BadInputError(refusal.sentence)
        self._emit(Notice("warning", refusal.sentence))  # the work in hand can do without it

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
        elif self._learning is None or not self._learning.live:
            self._new_learning().go_live()

    def _obey_update_once(self) -> None:
        self._new_learning().update()

    def _new_learning(self) -> Learning:
        self._showing.ask_again()
        if self._learning is None:
            raise BadInputError(self._obstacle)
        return self._learning

    def _obey_predict_all(self, planes: list[list[int]]) -> None:
        trainer = self._trainer
        if trainer is None or not trainer.learned:
            raise BadInputError(
                "There is no trained network yet: paint strokes and press Live, or load a model."
            )
        self._showing.ask_again()
        keys = [tuple(plane) for plane in planes]
        self._all = PredictAll(keys, self._plane_shape, trainer, self._showing, self._emit)

    def _obey_measure(self, models: list[str], request: int = 0) -> None:
        self._showing.ask_again()
        self._comparison = Comparison([unpack_bytes(model) for model in models], request)

    def _obey_cancel(self) -> None:
        self._showing.stop()
        self._comparison = None
        if self._all is not None:
            self._all = None
            self._report()
            self._emit(Finished("predict", cancelled=True))
        if self._learning is not None and self._learning.updating:
            self._end_update(self._learning, cancelled=True)
        self._end_live()

    def _obey_rest(self) -> None:
        self.rest()

    def _obey_overlay_taken(self, session: int) -> None:
        if session == self.session:  # else of another session's block: not what is in the slot now
            self._showing.taken()

    # --- work ----------------------------------------------------------------------------

    def work(self) -> bool:
        """Do one small unit of work; False if there is none before the next request."""
        if self._comparison is not None and self._compare_next(self._comparison):
            return True
        if self._all is not None:
            return self._predict_next(self._all)
        trainer, learning = self._trainer, self._learning
        if trainer is None or learning is None:
            return False
        if self._showing.survey(trainer):
            return True
        if not learning.on:
            return self._showing.refresh_at_rest(trainer)
        did = learning.work()
        if learning.update_over:
            self._end_update(learning)
        return did

    def rest(self) -> None:
        """Drop the work in hand, because something went wrong; what was learned stays."""
        if self._learning is not None:
            self._learning.live = False
            self._learning.stop_update()
        self._all = None
        self._showing.give_up()
        self._report()

    def _compare_next(self, comparison: Comparison) -> bool:
        """Measure one model, once the painted planes are here."""
        slabs = self._trainer.missing() if self._trainer is not None else set()
        missing = {slab.index for slab in slabs} - self._showing.refused.keys()
        for plane in missing:
            self._showing.want(plane)
        if missing:
            return False
        comparison.work(self._trainer)
        if comparison.done:
            self._comparison = None
            self._emit(Measured(comparison.scores, comparison.request))
        return True

    def _predict_next(self, planes: PredictAll) -> bool:
        before = planes.plane
        if not planes.work():
            return False
        if planes.plane is None:
            self._report()
            self._all = None
            self._emit(Finished("predict"))
        elif self._reporter.due:
            self._report()
        if planes.plane != before:
            self._drop_unneeded_planes()
        return True

    def _drop_unneeded_planes(self) -> None:
        following = self._all.plane if self._all is not None else None
        if self._trainer is not None:
            self._showing.drop_unneeded_planes(self._trainer, following)

    # --- the end of work -----------------------------------------------------------------

    def _end_live(self) -> None:
        """Answer the request to stop, whether or not there was something to be stopped."""
        if self._learning is not None and self._learning.live:
            self._learning.live = False
            self._hand_over()
        self._report()
        self._emit(Finished("stop"))

    def _end_update(self, learning: Learning, *, cancelled: bool = False) -> None:
        learning.stop_update()
        self._hand_over()
        self._report()
        self._emit(Finished("update", cancelled))

    def _hand_over(self) -> None:
        """Send the newest network; what prevents it is told before the end of the work is."""
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
