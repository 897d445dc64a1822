"""What the viewer gets to see: predicted tiles, their uncertainty, and where to look next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from napari_msd.core.planes import PlaneKey, box_of, plane_and_region, whole
from napari_msd.core.space import Slab
from napari_msd.inference import tiles_of
from napari_msd.inference.suggestions import Suggestions
from napari_msd.trainer.limits import SLOT_SIDE
from napari_msd.trainer.messages import Event, LookHere, Notice, PlaneWanted, View
from napari_msd.trainer.overlay_slot import OverlaySlot
from napari_msd.trainer.refusal import Refusal
from napari_msd.trainer.sharing import attached
from napari_msd.trainer.tile_order import Tile, ViewRefresh
from napari_msd.training import Trainer

MOST_SURVEYED = 16
"""Tiles that Show me looks at, the nearest to the middle of the view first."""


class Showing:
    """Predicts for the viewer, as it asks: the view, whole planes, a survey of a plane.

    Uncertainty is computed only while it is wanted (`set_uncertainty`, `survey_plane`).
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._slot: OverlaySlot | None = None
        self._plane_shape = (0, 0)
        self.view = ViewRefresh()
        self._once = False
        self._uncertain = False
        self._wanted: set[PlaneKey] = set()
        self.refused: dict[PlaneKey, Refusal] = {}
        """Planes that are not to be had; asked for again only after `ask_again`."""
        self._given_up = False
        self._suggestions = Suggestions({})
        self._survey: deque[Tile] | None = None
        self._surveyed: dict[Tile, int] = {}

    # --- requests ------------------------------------------------------------------------

    def open(self, slot: Any, plane_shape: tuple[int, int]) -> None:
        """A session on planes of this shape (Y, X) begins; uncertainty is off."""
        self._slot = OverlaySlot(attached(slot), self._emit)
        self._plane_shape = plane_shape
        self.view.look_at(None)
        self.view.renew()
        self._once = self._uncertain = False
        self._wanted.clear()
        self.ask_again()
        self._suggestions = Suggestions({0: self._plane_shape})
        self._survey = None
        self._surveyed.clear()

    def look_at(self, view: View) -> None:
        """Something else is on screen."""
        before = self.view.plane
        if self.view.look_at(view):
            self._given_up = False
        if view.plane != before:
            self.refused.pop(view.plane, None)

    def ask_again(self) -> None:
        """The person asks for something: what could not be done before is tried again."""
        self.refused.clear()
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

    def survey_plane(self, trainer: Trainer) -> None:
        """Look at the plane on screen, then say where labels would teach most."""
        self.ask_again()
        plane = self.view.plane
        if plane is None or not trainer.learned:
            self._emit(
                Notice(
                    "info",
                    "There is no trained network yet to say where it is unsure: "
                    "paint strokes and press Live, or start from a model.",
                )
            )
            return
        centre = (*plane, *self.view.centre) if self.view.centre is not None else None
        tiles = tiles_of(box_of(plane, whole(self._plane_shape)), SLOT_SIDE, centre)
        self._survey = deque(map(plane_and_region, tiles[:MOST_SURVEYED]))

    def stop(self) -> None:
        """Drop what was asked for: the survey, and showing the view once."""
        self._survey = None
        self._once = False

    def taken(self) -> None:
        """The viewer has copied the tile in the slot."""
        if self._slot is not None:
            self._slot.taken()

    def arrived(self, plane: PlaneKey) -> None:
        """A plane's pixels came."""
        self._wanted.discard(plane)
        self.refused.pop(plane, None)

    def refuse(self, plane: PlaneKey, refusal: Refusal) -> None:
        """A plane cannot come."""
        self._wanted.discard(plane)
        self.refused[plane] = refusal

    # --- work: each does one tile at most, and says whether it did ----------------------------

    def refresh(self, trainer: Trainer, *, alone: bool = False) -> bool:
        """Predict a tile of the view if it is time for one and the viewer took the last.

        `alone`: nothing is being learned, so no time has to be left for it.
        """
        tile = self.view.next(self._plane_shape, trainer.weights_shown, at_once=alone)
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
        """Look at one tile of the survey; at its end, tell the viewer where to look."""
        if self._survey is None:
            return False
        while self._survey and self._surveyed.get(self._survey[0]) == trainer.weights_shown:
            self._survey.popleft()
        if not self._survey:
            self._survey = None
            self._suggest(trainer)
            return True
        plane, region = self._survey[0]
        if plane in self.refused:
            self._survey = None
            return False
        if Slab(0, plane) not in trainer.slabs:
            self.want(plane)
            return False
        _, uncertainty = trainer.predictor().labels_and_uncertainty(
            trainer.slabs[Slab(0, plane)], box_of(plane, region), trainer.temperature
        )
        self._suggestions.note(box_of(plane, region), uncertainty)
        self._surveyed[self._survey.popleft()] = trainer.weights_shown
        return True

    def _suggest(self, trainer: Trainer) -> None:
        shown = Slab(0, self.view.plane) if self.view.plane is not None else None
        found = self._suggestions.next(trainer.annotation, shown)
        if found is not None:
            self._emit(LookHere(*plane_and_region(found.box), found.uncertainty))
            return
        self._emit(
            Notice(
                "info",
                "Nothing more to show here: the network is sure, or you saw the places where "
                "it is not. Look at another slice, or paint where you see it wrong.",
            )
        )

    def can_send(self, trainer: Trainer, tile: Tile) -> bool:
        """Whether the tile's plane is here and the slot is free; asks for the plane."""
        if Slab(0, tile[0]) not in trainer.slabs:
            self.want(tile[0])
            return False
        return self._slot is not None and self._slot.free

    def send(self, trainer: Trainer, tile: Tile) -> None:
        """Predict a tile with the kept weights and hand it over."""
        assert self._slot is not None
        plane, region = tile
        predictor, pixels = trainer.predictor(), trainer.slabs[Slab(0, plane)]
        box = box_of(plane, region)
        what = plane, region, trainer.kept_steps, trainer.network_id
        if not self._uncertain:
            self._slot.send(*what, predictor.labels(pixels, box))
            return
        labels, uncertainty = predictor.labels_and_uncertainty(pixels, box, trainer.temperature)
        self._suggestions.note(box, uncertainty)
        self._slot.send(*what, labels, uncertainty)

    # --- planes --------------------------------------------------------------------------

    def want(self, plane: PlaneKey) -> None:
        """Ask the viewer for a plane's pixels, once; one that is not to be had not at all."""
        if plane not in self._wanted and plane not in self.refused:
            self._wanted.add(plane)
            self._emit(PlaneWanted(plane))

    def drop_unneeded_planes(self, trainer: Trainer, following: PlaneKey | None) -> None:
        """Keep in memory what is painted, on screen, or `following` in work on whole planes."""
        needed = trainer.annotation.slabs
        needed |= {Slab(0, key) for key in (self.view.plane, following) if key is not None}
        for slab in set(trainer.slabs) - needed:
            trainer.drop_pixels(slab)
