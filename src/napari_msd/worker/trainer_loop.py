"""What the trainer does next: obey a request, learn a step, or predict a tile."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from napari_msd.config import Settings
from napari_msd.errors import BadInputError
from napari_msd.inference import tiles_of
from napari_msd.io.model_file import ModelRecord
from napari_msd.native import describe_device
from napari_msd.planes import PlaneKey, Region, whole
from napari_msd.training import Trainer
from napari_msd.training.record import versions
from napari_msd.worker.messages import (
    Event,
    Finished,
    ModelKept,
    Notice,
    PlaneWanted,
    Progress,
    Ready,
    TrainerState,
    View,
)
from napari_msd.worker.overlay_slot import SLOT_SIDE, OverlaySlot
from napari_msd.worker.wire import unpack_bytes, unpack_strokes, unpack_view

UPDATE_SECONDS = 5.0
"""How long Update once learns before it shows the result."""

PROGRESS_EVERY = 0.25
KEEP_EVERY = 1.0
REFRESH_EVERY = 0.1
"""Seconds between two progress events, two models sent, two refreshes of the view."""

Tile = tuple[PlaneKey, Region]


class TrainerLoop:
    """The trainer process's state: one session, and the work in hand.

    `obey` takes requests (see `client` for their meaning), `work` does one small
    unit of work: one training step or one tile. All events go through `emit`.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._trainer: Trainer | None = None
        self._slot: OverlaySlot | None = None
        self._settings = Settings()
        self._n_channels = 1
        self._plane_shape = (0, 0)
        self._view: View | None = None
        self._live = False
        self._update_ends: float | None = None
        self._update_shown = False
        self._predicting: deque[Tile] = deque()
        self._predict_total = 0
        self._predict_began = 0.0
        self._view_tiles: deque[Tile] = deque()
        self._wanted: set[PlaneKey] = set()
        self._waiting_for = ""
        self._last_progress = self._last_kept = self._last_refresh = 0.0
        self._refresh_cost = 0.0
        self._sent_steps = -1
        self._losses: list[float] = []
        self._rate_mark = (0.0, 0)

    # --- requests ------------------------------------------------------------------------

    def introduce(self) -> None:
        """Say which device will be used, and why."""
        device = describe_device(self._settings.device)
        self._emit(Ready(device.text, device.reason, device.backend, os.getpid(), versions()))

    def obey(self, name: str, inputs: dict[str, Any]) -> None:
        """Carry out one request."""
        handler: Callable[..., None] = getattr(self, f"_obey_{name}")
        handler(**inputs)

    def _obey_open(
        self,
        settings: dict[str, Any],
        plane_shape: list[int],
        n_channels: int,
        slot: Any,
        model: str | None,
    ) -> None:
        self.rest()
        self._slot = OverlaySlot(slot, self._emit)
        self._settings = Settings.from_dict(settings)
        self._n_channels = n_channels
        self._plane_shape = (plane_shape[0], plane_shape[1])
        self._view = None
        self._wanted.clear()
        self._trainer = None
        start = ModelRecord.from_bytes(unpack_bytes(model)) if model else None
        self._trainer = Trainer(self._settings, n_channels, start)
        self._sent_steps = self._trainer.kept_steps
        self.introduce()

    def _obey_forget(self) -> None:
        old = self._trainer
        if old is None:
            return
        self._trainer = Trainer(self._settings, self._n_channels)
        for block in old.strokes.blocks():
            self._trainer.write_strokes(*block)
        self._sent_steps = -1
        self._wanted.clear()
        self._view_tiles.clear()
        self._losses.clear()

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
        self._wanted.discard(key)
        if self._trainer is not None:
            self._trainer.set_plane(key, pixels)

    def _obey_plane_unreadable(self, plane: list[int], why: str) -> None:
        self._wanted.discard(tuple(plane))
        raise BadInputError(f"This part of the image could not be read: {why}")

    def _obey_view(self, view: dict[str, Any]) -> None:
        new = unpack_view(view)
        if new != self._view:
            self._view = new
            self._view_tiles.clear()
            self._last_refresh = 0.0
            self._drop_unneeded_planes()

    def _obey_live(self, on: bool) -> None:
        if on == self._live:
            return
        self._live = on
        self._begin_training() if on else self._end_training("stop")

    def _obey_update_once(self) -> None:
        self._update_ends = time.monotonic() + UPDATE_SECONDS
        self._update_shown = False
        self._begin_training()

    def _obey_predict_all(self, planes: list[list[int]]) -> None:
        if self._trainer is None or not self._trainer.learned:
            raise BadInputError(
                "There is no trained network yet: paint strokes and press Live, or load a model."
            )
        tiles = tiles_of(whole(self._plane_shape), SLOT_SIDE)
        self._predicting = deque((tuple(plane), tile) for plane in planes for tile in tiles)
        self._predict_total = len(self._predicting)
        self._predict_began = time.monotonic()

    def _obey_cancel(self) -> None:
        if self._predicting:
            self._predicting.clear()
            self._emit(Finished("predict", cancelled=True))
        if self._update_ends is not None:
            self._end_training("update", cancelled=True)
        if self._live:
            self._live = False
            self._end_training("stop")

    def _obey_overlay_taken(self) -> None:
        if self._slot is not None:
            self._slot.taken()

    # --- work ----------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there is work to do before the next request arrives."""
        if self._predicting:
            return self._can_send(self._predicting[0])
        return self._training and not self._training_waits()

    def work(self) -> None:
        """Do one small unit of work; call while `busy`."""
        if self._predicting:
            self._predict_next()
        elif self._update_ends is not None and time.monotonic() >= self._update_ends:
            self._show_update()
        elif self._refresh_due():
            self._refresh_next()
        else:
            self._learn()

    def rest(self) -> None:
        """Drop the work in hand; what was learned stays."""
        self._live = False
        self._update_ends = None
        self._predicting.clear()
        self._view_tiles.clear()
        self._report("idle")

    # --- learning ------------------------------------------------------------------------

    @property
    def _training(self) -> bool:
        return self._trainer is not None and (self._live or self._update_ends is not None)

    def _begin_training(self) -> None:
        if self._trainer is None:
            self._live = False
            self._update_ends = None
            raise BadInputError("Choose an image and paint a few strokes first.")
        self._waiting_for = ""
        self._losses.clear()
        self._rate_mark = (time.monotonic(), self._trainer.steps)
        self._last_progress = time.monotonic()
        if not self._training_waits():
            self._report("training")

    def _end_training(self, work: Any, cancelled: bool = False) -> None:
        self._update_ends = None
        self._view_tiles.clear()
        self._send_model(now=True)
        self._report("training" if self._training else "idle")
        self._emit(Finished(work, cancelled))

    def _training_waits(self) -> bool:
        """Whether training needs something first; asks for it."""
        assert self._trainer is not None
        needs = self._trainer.needs()
        if needs != self._waiting_for:
            self._waiting_for = needs
            self._report("waiting" if needs else "training")
        if needs:
            if self._update_ends is not None:
                self._update_ends = None
                raise BadInputError(needs)
            return True
        missing = self._trainer.missing_planes()
        for plane in missing:
            self._want(plane)
        if missing and self._update_ends is not None:
            self._update_ends = time.monotonic() + UPDATE_SECONDS
        return bool(missing)

    def _learn(self) -> None:
        assert self._trainer is not None
        self._losses.append(self._trainer.step())
        now = time.monotonic()
        if now - self._last_progress >= PROGRESS_EVERY:
            self._report("training")
        self._send_model()

    def _send_model(self, now: bool = False) -> None:
        """Give the viewer new best weights: they survive this process."""
        trainer = self._trainer
        if trainer is None or not trainer.learned or trainer.kept_steps == self._sent_steps:
            return
        if now or time.monotonic() - self._last_kept >= KEEP_EVERY:
            self._last_kept = time.monotonic()
            self._sent_steps = trainer.kept_steps
            model = trainer.record().to_bytes()
            self._emit(ModelKept(model, trainer.kept_steps, trainer.kept_scores.mean))

    # --- predicting ----------------------------------------------------------------------

    def _refresh_due(self) -> bool:
        """Whether a tile of the view comes next; predicting takes at most half of the time."""
        trainer, view = self._trainer, self._view
        if trainer is None or view is None or not trainer.learned or view.region.empty:
            return False
        if not self._view_tiles:
            rest = max(REFRESH_EVERY, self._refresh_cost)
            if time.monotonic() - self._last_refresh < rest:
                return False
            region = view.region.clip(self._plane_shape)
            self._view_tiles.extend((view.plane, tile) for tile in tiles_of(region, SLOT_SIDE))
        elif time.monotonic() - self._last_refresh < self._refresh_cost:
            return False
        return bool(self._view_tiles) and self._can_send(self._view_tiles[0])

    def _refresh_next(self) -> None:
        began = time.monotonic()
        self._send_tile(*self._view_tiles.popleft())
        self._last_refresh = time.monotonic()
        self._refresh_cost = self._last_refresh - began

    def _show_update(self) -> None:
        """The end of Update once: the kept weights, then all of the view."""
        assert self._trainer is not None
        if not self._update_shown:
            self._trainer.measure()
            self._update_shown = True
            self._view_tiles.clear()
            if self._view is not None:
                region = self._view.region.clip(self._plane_shape)
                self._view_tiles.extend(
                    (self._view.plane, tile) for tile in tiles_of(region, SLOT_SIDE)
                )
        if not self._view_tiles:
            self._end_training("update")
        elif self._can_send(self._view_tiles[0]):
            self._refresh_next()

    def _predict_next(self) -> None:
        plane, region = self._predicting.popleft()
        self._send_tile(plane, region)
        if self._predicting and self._predicting[0][0] != plane:
            self._drop_unneeded_planes()
        if time.monotonic() - self._last_progress >= PROGRESS_EVERY or not self._predicting:
            self._report("training" if self._training else "idle")
        if not self._predicting:
            self._drop_unneeded_planes()
            self._emit(Finished("predict"))

    def _can_send(self, tile: Tile) -> bool:
        """Whether the slot is free and the tile's plane is here; asks for the plane."""
        assert self._trainer is not None
        if tile[0] not in self._trainer.planes:
            self._want(tile[0])
            return False
        return self._slot is not None and self._slot.free

    def _send_tile(self, plane: PlaneKey, region: Region) -> None:
        assert self._trainer is not None
        assert self._slot is not None
        pixels = torch.from_numpy(self._trainer.planes[plane])
        labels = self._trainer.predictor().labels(pixels, region)
        self._slot.send(plane, region, labels, self._trainer.kept_steps)

    def _want(self, plane: PlaneKey) -> None:
        if plane not in self._wanted:
            self._wanted.add(plane)
            self._emit(PlaneWanted(plane))

    def _drop_unneeded_planes(self) -> None:
        """Keep in memory what is painted, shown, or next to be predicted."""
        if self._trainer is None:
            return
        needed = self._trainer.strokes.planes
        if self._view is not None:
            needed.add(self._view.plane)
        if self._predicting:
            needed.add(self._predicting[0][0])
        for plane in set(self._trainer.planes) - needed:
            self._trainer.drop_plane(plane)

    # --- reporting -----------------------------------------------------------------------

    def _report(self, state: TrainerState) -> None:
        now = time.monotonic()
        trainer = self._trainer
        if trainer is None:
            self._emit(Progress(state))
            return
        since, steps = self._rate_mark
        elapsed = now - since
        rate = (trainer.steps - steps) / elapsed if elapsed > 0 and self._losses else 0.0
        loss = sum(self._losses) / len(self._losses) if self._losses else None
        self._losses.clear()
        self._rate_mark = (now, trainer.steps)
        self._last_progress = now
        fraction, left = self._remaining(now)
        self._emit(
            Progress(
                "waiting" if self._waiting_for and self._training else state,
                step=trainer.steps,
                loss=loss,
                held_out_iou=trainer.kept_scores.iou,
                score=trainer.scores.mean,
                best_score=trainer.kept_scores.mean,
                steps_per_second=rate,
                needs=self._waiting_for if self._training else "",
                fraction=fraction,
                seconds_left=left,
            )
        )

    def _remaining(self, now: float) -> tuple[float | None, float | None]:
        """Share done and seconds left of the work that ends, if any is under way."""
        if self._predict_total and (self._predicting or now - self._predict_began < 0):
            done = self._predict_total - len(self._predicting)
            if not done:
                return 0.0, None
            elapsed = now - self._predict_began
            return done / self._predict_total, elapsed / done * len(self._predicting)
        if self._update_ends is not None:
            left = max(0.0, self._update_ends - now)
            return 1 - left / UPDATE_SECONDS, left
        return None, None


def warn_of_missing_numbers(share: float) -> Notice:
    """A plane holds pixels that are not numbers; they were given the mean's place."""
    return Notice(
        "warning",
        f"{share:.0%} of this plane's pixels are not numbers (NaN); they are treated as average.",
    )
