"""What the viewer gets to see: predicted tiles, their uncertainty, and where to look next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping

from napari_msd.core.box import Box, SourceId
from napari_msd.core.space import Slab, Space
from napari_msd.inference import tiles_of
from napari_msd.inference.suggestions import Suggestions
from napari_msd.trainer.events import Event, LookHere, Notice, OverlayBlock, PixelsWanted
from napari_msd.trainer.limits import TILE_SIDE
from napari_msd.trainer.overlay_credit import OverlayCredit
from napari_msd.trainer.pixel_failure import PixelFailure
from napari_msd.trainer.tile_order import ViewRefresh
from napari_msd.training import Trainer

MOST_SURVEYED = 16
"""Tiles that Show me looks at, the nearest to the middle of the view first."""


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
        self._wanted: dict[Slab, bool] = {}  # asked for; whether ahead of their turn
        self.failed: dict[Slab, PixelFailure] = {}
        """Slabs that could not come; asked for again only after `ask_again`."""
        self._given_up = False
        self._suggestions = Suggestions({})
        self._survey: deque[Box] | None = None
        self._surveyed: dict[Box, int] = {}

    # --- requests ------------------------------------------------------------------------

    def open(self, spaces: Mapping[SourceId, Space]) -> None:
        """An epoch on these sources begins; uncertainty is off."""
        self.credit.reset()
        self._spaces = dict(spaces)
        self.view.look_at(None)
        self.view.renew()
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
        before = self.shown
        if self.view.look_at(box.clip(space.shape)):
            self._given_up = False
        if self.shown is not None and self.shown != before:
            self.failed.pop(self.shown, None)

    @property
    def shown(self) -> Slab | None:
        """The slab on screen."""
        box = self.view.box
        return self._slab(box) if box is not None else None

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
        whole = self._spaces[box.source].slab_of(box)
        self._survey = deque(tiles_of(whole, TILE_SIDE, box.centre)[:MOST_SURVEYED])

    def stop(self) -> None:
        """Drop what was asked for: the survey, and showing the view once."""
        self._survey = None
        self._once = False

    def arrived(self, slab: Slab) -> bool:
        """A slab's pixels came; returns whether anybody waits for them."""
        if self._wanted.pop(slab, None) is None:
            return False
        self.failed.pop(slab, None)
        return True

    def fail(self, slab: Slab, failure: PixelFailure) -> None:
        """A slab cannot come."""
        self._wanted.pop(slab, None)
        self.failed[slab] = failure

    # --- work: each does one tile at most, and says whether it did ----------------------------

    def refresh(self, trainer: Trainer, *, alone: bool = False) -> bool:
        """Predict a tile of the view if it is time for one and the viewer took the last.

        `alone`: nothing is being learned, so no time has to be left for it.
        """
        tile = self.view.next(trainer.weights_shown, at_once=alone)
        if tile is None or not self.can_send(trainer, tile):
            return False
        began = time.monotonic()
        self.send(trainer, tile)
        self.view.done(time.monotonic() - began)
        return True

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
        if not self._survey:
            self._survey = None
            self._suggest(trainer)
            return True
        tile = self._survey[0]
        slab = self._slab(tile)
        if slab in self.failed:
            self._survey = None
            return False
        if slab not in trainer.slabs:
            self.want(slab)
            return False
        _, uncertainty = trainer.predictor().labels_and_uncertainty(
            trainer.slabs[slab], tile, trainer.temperature
        )
        self._suggestions.note(tile, uncertainty)
        self._surveyed[self._survey.popleft()] = trainer.weights_shown
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
        """Whether the tile's slab is here and the viewer keeps up; asks for the slab."""
        slab = self._slab(tile)
        if slab not in trainer.slabs:
            self.want(slab)
            return False
        return self.credit.free

    def send(self, trainer: Trainer, tile: Box) -> None:
        """Predict a tile with the kept weights and hand it over."""
        predictor, pixels = trainer.predictor(), trainer.slabs[self._slab(tile)]
        uncertainty = None
        if self._uncertain:
            labels, uncertainty = predictor.labels_and_uncertainty(
                pixels, tile, trainer.temperature
            )
            self._suggestions.note(tile, uncertainty)
            uncertainty = uncertainty.reshape(tile.shape)
        else:
            labels = predictor.labels(pixels, tile)
        self.credit.sent()
        labels = labels.reshape(tile.shape)
        self._emit(OverlayBlock(tile, trainer.kept_steps, labels, uncertainty, trainer.network_id))

    # --- pixels --------------------------------------------------------------------------

    def want(self, slab: Slab, *, ahead: bool = False) -> None:
        """Ask the viewer for a slab's pixels, once; one that cannot come not at all.

        `ahead`: they are not needed yet, but soon.
        """
        if slab not in self._wanted and slab not in self.failed:
            self._wanted[slab] = ahead
            self._emit(PixelsWanted(self._spaces[slab.source].slab(slab.source, slab.index), ahead))

    def want_none_ahead(self) -> None:
        """Work on whole slabs has ended: what was asked for ahead is dropped when it comes."""
        self._wanted = {slab: ahead for slab, ahead in self._wanted.items() if not ahead}

    def drop_unneeded(self, trainer: Trainer, upcoming: Collection[Box] = ()) -> None:
        """Keep in memory what is painted, on screen, or `upcoming` in work on whole slabs."""
        needed = trainer.annotation.slabs | {self._slab(box) for box in upcoming}
        if self.shown is not None:
            needed.add(self.shown)
        for slab in set(trainer.slabs) - needed:
            trainer.drop_pixels(slab)
