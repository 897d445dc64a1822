"""What the viewer gets to see: predicted tiles, their uncertainty, and where to look next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping

from napari_msd.core.box import Box, SourceId
from napari_msd.core.space import Slab, Space
from napari_msd.inference import Predictor, tiles_of
from napari_msd.inference.suggestions import Suggestions
from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.coarse_view import Area, CoarseView
from napari_msd.trainer.events import Event, LookHere, Notice, OverlayBlock, PixelsWanted
from napari_msd.trainer.kept_view import kept_tiles
from napari_msd.trainer.limits import DROP_EVERY, TILE_SHAPE
from napari_msd.trainer.overlay_credit import OverlayCredit
from napari_msd.trainer.pixel_failure import PixelFailure
from napari_msd.trainer.tile_order import ViewRefresh
from napari_msd.training import Trainer

MOST_SURVEYED = 16
"""Tiles that Show me looks at, the nearest to the middle of the view first."""

SURVEY_REACH = 8
"""In tiles, from the middle of the view: a large slab has more tiles than could be listed."""


class InferenceScheduler:
    """Predicts for the viewer, as it asks: the view, whole slabs, a survey of a slab.

    Uncertainty is computed only while it is wanted (`set_uncertainty`, `survey_slab`).
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self.credit = OverlayCredit()
        self._spaces: dict[SourceId, Space] = {}
        self.view = ViewRefresh()
        self._once = False
        self._uncertain = False
        self._wanted: dict[Box, bool] = {}  # asked for; whether ahead of their turn
        self.failed: dict[Box, PixelFailure] = {}
        """Slabs and blocks that could not come; asked for again only after `ask_again`."""
        self._given_up = False
        self._suggestions = Suggestions({})
        self._survey: deque[Box] | None = None
        self._surveyed: dict[Box, int] = {}
        self._looked = False
        """Whether the survey could look at anything."""
        self._all_of_view_kept = True
        self._since_drop = 0
        self._coarse = CoarseView()
        self.coarsely_wanted: Area | None = None
        """A large view whose thinned pixels are on their way; asked for once."""

    # --- requests ------------------------------------------------------------------------

    def open(self, spaces: Mapping[SourceId, Space]) -> None:
        """An epoch on these sources begins; uncertainty is off."""
        self.credit.reset()
        self._spaces = dict(spaces)
        self.view.look_at(None)
        self.view.renew()
        self._coarse.clear()
        self.coarsely_wanted = None
        self._once = self._uncertain = False
        self._wanted.clear()
        self.ask_again()
        self._suggestions = Suggestions({source: space.spatial for source, space in spaces.items()})
        self._survey = None
        self._surveyed.clear()

    def look_at(self, box: Box) -> None:
        """Something else is on screen."""
        space = self._spaces.get(box.source)
        if space is None or box.ndim != space.ndim:
            return  # nothing is open
        before = self._view_slabs
        if self.view.look_at(box.clip(space.shape), space.convolved):
            self._given_up = False
        if (now := self._view_slabs) != before:
            self.failed = {
                block: failure
                for block, failure in self.failed.items()
                if self._slab(block) not in now
            }

    @property
    def shown(self) -> Slab | None:
        """The slab on screen; the first of them where the view cuts across."""
        box = self.view.box
        return self._slab(box) if box is not None else None

    @property
    def _view_slabs(self) -> set[Slab]:
        """All slabs on screen."""
        box = self.view.box
        return set() if box is None else set(Slab.all_of(box, self._spaces[box.source].convolved))

    def _slab(self, box: Box) -> Slab:
        return Slab.of(box, self._spaces[box.source].convolved)

    def ask_again(self) -> None:
        """The person asks for something: what could not be done before is tried again."""
        self.failed.clear()
        self._given_up = False

    def give_up(self) -> None:
        """Something went wrong: nothing more is shown at rest until there is a new request."""
        self.stop()
        self._given_up = True

    def set_uncertainty(self, on: bool) -> None:
        """Tell the viewer how unsure each tile is, or no longer."""
        self.ask_again()
        if on and not self._uncertain:
            self.view.renew()
        self._uncertain = on

    def show_view(self) -> None:
        """Show the view once, though nothing is being learned."""
        self.ask_again()
        self._once = True
        self.view.renew()

    def survey_slab(self, trainer: Trainer) -> None:
        """Look at the slab on screen, then say where labels would teach most."""
        self.ask_again()
        box = self.view.box
        if box is None or not trainer.learned:
            self._emit(
                Notice(
                    "info",
                    "There is no trained network yet to say where it is unsure: "
                    "paint strokes and press Live, or start from a model.",
                )
            )
            return
        self._survey = deque(self._around(box))
        self._looked = False

    def _around(self, view: Box) -> list[Box]:
        """The tiles of the slab on screen that Show me looks at."""
        space = self._spaces[view.source]
        whole = space.slab_of(view)
        sides = (1,) * (space.ndim - space.convolved) + TILE_SHAPE[space.convolved]
        middle = [int(at) for at in view.centre]
        near = Box(view.source, tuple(middle), tuple(at + 1 for at in middle))
        part = near.grow([SURVEY_REACH * side for side in sides]).intersect(whole)
        return tiles_of(part, sides, view.centre)[:MOST_SURVEYED]

    def stop(self) -> None:
        """Drop what was asked for: the survey, and showing the view once."""
        self._survey = None
        self._once = False

    def arrived(self, box: Box) -> bool:
        """The pixels of a slab or block came; returns whether anybody waits for them."""
        if self._wanted.pop(box, None) is None:
            return False
        self.failed.pop(box, None)
        return True

    def fail(self, box: Box, failure: PixelFailure) -> bool:
        """A slab or block cannot come; returns whether another one of the slab could not either."""
        self._wanted.pop(box, None)
        before = {self._slab(other) for other in self.failed} if self._spaces else set()
        self.failed[box] = failure
        return bool(before) and self._slab(box) in before

    # --- work: each does one tile at most, and says whether it did ----------------------------

    def refresh(self, trainer: Trainer, *, alone: bool = False) -> bool:
        """Predict a tile of the view if it is time for one and the viewer took the last.

        `alone`: nothing is being learned, so no time has to be left for it.
        """
        if self._refresh_coarsely(trainer):
            return True
        tile = self.view.next(trainer.weights_shown, at_once=alone)
        if tile is None:
            return False
        if self.failure(trainer, tile):
            self.view.done(0.0)  # the rest of the view can be shown
            return True
        if not self.can_send(trainer, tile):
            return False
        began = time.monotonic()
        self.send(trainer, tile)
        self.view.done(time.monotonic() - began)
        self._since_drop += 1
        if self._since_drop >= DROP_EVERY and not self._all_of_view_kept:
            self.drop_unneeded(trainer)
        return True

    def _refresh_coarsely(self, trainer: Trainer) -> bool:
        """Give the first answer for a large view, if its thinned pixels are here."""
        view = self.view.box
        area = self._coarse.area(view, trainer) if view is not None else None
        if area is None:
            return False
        if self._coarse.pixels(area) is None:
            if self.coarsely_wanted != area:
                self.coarsely_wanted = area
                self._emit(PixelsWanted(area.box, scale=area.scale))
            return False
        if not self.credit.free:
            return False
        labels = self._coarse.labels(area, trainer)
        if labels is not None:
            self.credit.sent()
            network, step = trainer.network_id, trainer.kept_steps
            self._emit(OverlayBlock(area.box, step, labels, None, network, area.scale))
        return True

    def arrived_coarsely(self, area: Area, pixels: Pixels) -> None:
        """Thinned pixels came."""
        if area == self.coarsely_wanted:
            self.coarsely_wanted = None
            self._coarse.take(area, pixels)

    def refresh_at_rest(self, trainer: Trainer) -> bool:
        """The same while neither Live nor other work is on: only what was asked for."""
        if self._given_up or not trainer.learned or not (self._once or self._uncertain):
            return False
        did = self.refresh(trainer, alone=True)
        if self.view.complete(trainer.weights_shown):
            self._once = False
        return did

    def survey(self, trainer: Trainer) -> bool:
        """Look at one tile of the survey; at its end, say where to look."""
        if self._survey is None:
            return False
        while self._survey and self._surveyed.get(self._survey[0]) == trainer.weights_shown:
            self._survey.popleft()
            self._looked = True
        if not self._survey:
            self._survey = None
            if self._looked:  # else it has been said that nothing can be read
                self._suggest(trainer)
            return True
        tile = self._survey[0]
        if self.failure(trainer, tile):
            self._survey.popleft()
            return True
        if not self.want_all(trainer, tile):
            return False
        _, uncertainty = trainer.predictor().labels_and_uncertainty(
            trainer.slabs[self._slab(tile)], tile, trainer.temperature
        )
        self._suggestions.note(tile, uncertainty)
        self._surveyed[self._survey.popleft()] = trainer.weights_shown
        self._looked = True
        return True

    def _suggest(self, trainer: Trainer) -> None:
        found = self._suggestions.next(trainer.annotation, self.shown)
        if found is not None:
            self._emit(LookHere(found.box, found.uncertainty))
            return
        self._emit(
            Notice(
                "info",
                "Nothing more to show here: the network is sure, or you saw the places where "
                "it is not. Look at another slice, or paint where you see it wrong.",
            )
        )

    def can_send(self, trainer: Trainer, tile: Box) -> bool:
        """Whether the tile's pixels are here and the viewer keeps up; asks for the pixels."""
        return self.want_all(trainer, tile) and self.credit.free

    def send(self, trainer: Trainer, tile: Box) -> None:
        """Predict a tile with the kept weights and hand it over."""
        predictor, pixels = trainer.predictor(), trainer.slabs[self._slab(tile)]
        uncertainty = confidence = None
        if self._uncertain:
            labels, uncertainty = predictor.labels_and_uncertainty(
                pixels, tile, trainer.temperature
            )
            self._suggestions.note(tile, uncertainty)
            uncertainty = uncertainty.reshape(tile.shape)
        else:
            labels, confidence = predictor.labels_and_confidence(pixels, tile)
        self.credit.sent()
        labels = labels.reshape(tile.shape)
        self._emit(
            OverlayBlock(
                tile,
                trainer.kept_steps,
                labels,
                uncertainty,
                trainer.network_id,
                confidence=confidence,
            )
        )

    # --- pixels --------------------------------------------------------------------------

    def blocks_of(self, trainer: Trainer, tile: Box) -> list[Box]:
        """Slabs or blocks that are needed to predict a tile, and are not here."""
        slab = self._slab(tile)
        pixels = trainer.data.slab(slab)
        blocks = dict.fromkeys(pixels.missing())
        if trainer.normalisation is not None:  # else the first slab has to come to decide on it
            blocks |= dict.fromkeys(pixels.missing(trainer.predictor().reads(pixels, tile)))
        return [slab.box(block.start, block.stop) for block in blocks]

    def failure(self, trainer: Trainer, tile: Box) -> PixelFailure | None:
        """Why a tile cannot be predicted, if pixels that it needs could not come."""
        if not self.failed:
            return None
        blocks = self.blocks_of(trainer, tile)
        return next((self.failed[block] for block in blocks if block in self.failed), None)

    def want_all(self, trainer: Trainer, tile: Box, *, ahead: bool = False) -> bool:
        """Whether all pixels for a tile are here; asks for those that are not."""
        blocks = self.blocks_of(trainer, tile)
        for block in blocks:
            self.want(block, ahead=ahead)
        return not blocks

    def want(self, box: Box, *, ahead: bool = False) -> None:
        """Ask the viewer for the pixels of a slab or block, once; what cannot come not at all.

        `ahead`: they are not needed yet, but soon.
        """
        if box not in self._wanted and box not in self.failed:
            self._wanted[box] = ahead
            self._emit(PixelsWanted(box, ahead))

    def want_none_ahead(self) -> None:
        """Work on whole boxes has ended: what was asked for ahead is dropped when it comes."""
        self._wanted = {box: ahead for box, ahead in self._wanted.items() if not ahead}

    def drop_unneeded(self, trainer: Trainer, upcoming: Collection[Box] = ()) -> None:
        """Keep in memory what is painted, on screen, or `upcoming` in work on whole boxes.

        Of a very large view the tiles nearest to its middle, and those that are predicted next.
        """
        self._since_drop = 0
        boxes = [*upcoming, *self.view.upcoming(DROP_EVERY)]
        self._all_of_view_kept = True
        if self.view.box is not None:
            kept, self._all_of_view_kept = kept_tiles(self.view.box, trainer)
            boxes += kept
        if trainer.learned and trainer.normalisation is not None:
            predictor = trainer.predictor()
            boxes = [self._read_by(trainer, predictor, box) for box in boxes]
        trainer.keep_only(boxes)

    def _read_by(self, trainer: Trainer, predictor: Predictor, tile: Box) -> Box:
        slab = self._slab(tile)
        read = predictor.reads(trainer.data.slab(slab), tile)
        return slab.box(read.start, read.stop)
