"""What the viewer gets to see: predicted tiles, their uncertainty, and where to look next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection

from napari_msd.core.planes import PlaneKey, whole
from napari_msd.inference import tiles_of
from napari_msd.inference.suggestions import Suggestions
from napari_msd.trainer.events import Event, LookHere, Notice, OverlayBlock, PlaneWanted
from napari_msd.trainer.limits import TILE_SIDE
from napari_msd.trainer.overlay_credit import OverlayCredit
from napari_msd.trainer.plane_failure import PlaneFailure
from napari_msd.trainer.requests import View
from napari_msd.trainer.tile_order import Tile, ViewRefresh
from napari_msd.training import Trainer

MOST_SURVEYED = 16
"""Tiles that Show me looks at, the nearest to the middle of the view first."""


class InferenceScheduler:
    """Predicts for the viewer, as it asks: the view, whole planes, a survey of a plane.

    Uncertainty is computed only while it is wanted (`set_uncertainty`, `survey_plane`).
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self.credit = OverlayCredit()
        self._plane_shape = (0, 0)
        self.view = ViewRefresh()
        self._once = False
        self._uncertain = False
        self._wanted: dict[PlaneKey, bool] = {}  # asked for; whether ahead of their turn
        self.failed: dict[PlaneKey, PlaneFailure] = {}
        """Planes that could not come; asked for again only after `ask_again`."""
        self._given_up = False
        self._suggestions = Suggestions((0, 0))
        self._survey: deque[Tile] | None = None
        self._surveyed: dict[Tile, int] = {}

    # --- requests ------------------------------------------------------------------------

    def open(self, plane_shape: tuple[int, int]) -> None:
        """An epoch on planes of this shape (Y, X) begins; uncertainty is off."""
        self.credit.reset()
        self._plane_shape = plane_shape
        self.view.look_at(None)
        self.view.renew()
        self._once = self._uncertain = False
        self._wanted.clear()
        self.ask_again()
        self._suggestions = Suggestions(self._plane_shape)
        self._survey = None
        self._surveyed.clear()

    def look_at(self, view: View) -> None:
        """Something else is on screen."""
        before = self.view.plane
        if self.view.look_at(view):
            self._given_up = False
        if view.plane != before:
            self.failed.pop(view.plane, None)

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
        tiles = tiles_of(whole(self._plane_shape), TILE_SIDE, self.view.centre)
        self._survey = deque((plane, tile) for tile in tiles[:MOST_SURVEYED])

    def stop(self) -> None:
        """Drop what was asked for: the survey, and showing the view once."""
        self._survey = None
        self._once = False

    def arrived(self, plane: PlaneKey) -> bool:
        """A plane's pixels came; returns whether anybody waits for them."""
        if self._wanted.pop(plane, None) is None:
            return False
        self.failed.pop(plane, None)
        return True

    def fail(self, plane: PlaneKey, failure: PlaneFailure) -> None:
        """A plane cannot come."""
        self._wanted.pop(plane, None)
        self.failed[plane] = failure

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
        if plane in self.failed:
            self._survey = None
            return False
        if plane not in trainer.planes:
            self.want(plane)
            return False
        _, uncertainty = trainer.predictor().labels_and_uncertainty(
            trainer.planes[plane], region, trainer.temperature
        )
        self._suggestions.note(plane, region, uncertainty)
        self._surveyed[self._survey.popleft()] = trainer.weights_shown
        return True

    def _suggest(self, trainer: Trainer) -> None:
        found = self._suggestions.next(trainer.strokes, self.view.plane)
        if found is not None:
            self._emit(LookHere(found.plane, found.region, found.uncertainty))
            return
        self._emit(
            Notice(
                "info",
                "Nothing more to show here: the network is sure, or you saw the places where "
                "it is not. Look at another slice, or paint where you see it wrong.",
            )
        )

    def can_send(self, trainer: Trainer, tile: Tile) -> bool:
        """Whether the tile's plane is here and the viewer keeps up; asks for the plane."""
        if tile[0] not in trainer.planes:
            self.want(tile[0])
            return False
        return self.credit.free

    def send(self, trainer: Trainer, tile: Tile) -> None:
        """Predict a tile with the kept weights and hand it over."""
        plane, region = tile
        predictor, pixels = trainer.predictor(), trainer.planes[plane]
        uncertainty = None
        if self._uncertain:
            labels, uncertainty = predictor.labels_and_uncertainty(
                pixels, region, trainer.temperature
            )
            self._suggestions.note(plane, region, uncertainty)
        else:
            labels = predictor.labels(pixels, region)
        self.credit.sent()
        self._emit(
            OverlayBlock(plane, region, trainer.kept_steps, labels, uncertainty, trainer.network_id)
        )

    # --- planes --------------------------------------------------------------------------

    def want(self, plane: PlaneKey, *, ahead: bool = False) -> None:
        """Ask the viewer for a plane's pixels, once; one that cannot come not at all.

        `ahead`: they are not needed yet, but soon.
        """
        if plane not in self._wanted and plane not in self.failed:
            self._wanted[plane] = ahead
            self._emit(PlaneWanted(plane, ahead))

    def want_none_ahead(self) -> None:
        """Work on whole planes has ended: what was asked for ahead is dropped when it comes."""
        self._wanted = {plane: ahead for plane, ahead in self._wanted.items() if not ahead}

    def drop_unneeded_planes(self, trainer: Trainer, upcoming: Collection[PlaneKey] = ()) -> None:
        """Keep in memory what is painted, on screen, or `upcoming` in work on whole planes."""
        needed = {*trainer.strokes.planes, *upcoming}
        if self.view.plane is not None:
            needed.add(self.view.plane)
        for plane in set(trainer.planes) - needed:
            trainer.drop_plane(plane)
