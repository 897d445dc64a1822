"""Where to paint next: the uncertainty layer, and Show me's jump to a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_msd.core.errors import MSDError
from napari_msd.viewer.shortcuts import NEXT_KEY
from napari_msd.viewer.uncertainty import UncertaintyLayer

if TYPE_CHECKING:
    from napari_msd.session.controller import Controller
    from napari_msd.trainer.messages import LookHere, OverlayBlock

LOOKING = "Looking for the place where strokes teach most …"
COMPUTING = "Computing how unsure the network is about what is on screen …"

_SHARE = 0.25
"""The place shown fills at least so much of what is visible, so that it is plain which is meant."""


class Guide(QObject):
    """Shows where the network is unsure, at a person's wish."""

    switched = Signal(bool)
    """Whether the uncertainty layer is wanted, whoever changed that."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._controller = controller
        self.uncertainty = UncertaintyLayer(controller.viewer, controller.view)
        self.on = False
        self._looking = False
        """Whether a person waits for Show me, and has not painted since."""
        controller.strokes.edited.connect(self._on_edited)
        controller.overlay.flushing.connect(self.uncertainty.flush)
        controller.viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of the viewer; the layer, as it is, stays no longer than the session."""
        self._controller.viewer.layers.events.removed.disconnect(self._on_removed)
        self.uncertainty.remove()

    # --- the layer -----------------------------------------------------------------------

    def switch(self, on: bool) -> None:
        """Show how unsure the network is, or no longer.

        Raises
        ------
        MSDError
            When there is no image that it could be shown for.
        """
        if on == self.on:
            return
        controller = self._controller
        try:
            if on:
                controller.feed.open(need_annotation=False)
                controller.attach_overlay()
                self.attach()
        except MSDError:
            self.switched.emit(False)
            raise
        self.on = controller.feed.uncertainty = on
        if not on:
            self.uncertainty.remove()
        controller.client.set_uncertainty(on)
        self.switched.emit(on)
        if on and controller.model is None:
            controller.notice.emit(
                "info", "Uncertainty shows as soon as the network has learned: press Live."
            )
        elif on:
            controller.notice.emit("info", COMPUTING)

    def put(self, block: OverlayBlock) -> None:
        """Take what a predicted block tells of uncertainty."""
        if block.uncertainty is not None:
            self.uncertainty.put(block)
            self._controller.past.emit(COMPUTING)

    def attach(self) -> None:
        """Make the layer for the present image."""
        self.uncertainty.attach(self._controller.image, self._controller.subject.fitting)

    def subject_changed(self) -> None:
        """Another image, or another shape: the layer is of use no longer."""
        self._looking = False
        self.uncertainty.remove()
        if self.on and self._controller.subject.problem(need_annotation=False) is None:
            try:
                self.attach()
            except MSDError as error:  # too large an image
                self.switch(False)
                self._controller.notice.emit("warning", str(error))

    def _on_removed(self, event: Any = None) -> None:
        if self.on and self.uncertainty.layer is not None and not self.uncertainty.present:
            self.switch(False)  # deleted by hand

    # --- Show me -------------------------------------------------------------------------

    def show_me(self) -> None:
        """Ask the trainer where labels would teach most.

        Raises
        ------
        MSDError
            When there is nothing to ask.
        """
        controller = self._controller
        controller.feed.open(need_annotation=False)
        if controller.model is None:
            raise MSDError("There is no network yet to be unsure: paint strokes and press Live.")
        controller.client.show_me()
        self._looking = True
        controller.notice.emit("info", LOOKING)

    def _on_edited(self) -> None:
        self._looking = False  # who paints wants to see what is being painted

    def look(self, here: LookHere) -> None:
        """Bring a place onto the screen; zooms in where it would be a speck."""
        wanted, self._looking = self._looking, False
        if not wanted:
            return
        controller, region = self._controller, here.region
        viewer, image = controller.viewer, controller.image
        if image is None or len(here.plane) != image.ndim - 2:
            return  # an answer about an image that was here before
        self._zoom(region.shape)
        middle = ((region.top + region.bottom - 1) / 2, (region.left + region.right - 1) / 2)
        world = np.asarray(image.data_to_world((*here.plane, *middle)))
        first = viewer.dims.ndim - len(world)  # the viewer may have axes the image lacks
        for axis in viewer.dims.not_displayed:
            if axis >= first:
                viewer.dims.set_point(axis, world[axis - first])
        centre = [float(world[axis - first]) for axis in viewer.dims.displayed if axis >= first]
        viewer.scene.camera.center = (0.0,) * (3 - len(centre)) + tuple(centre)
        controller.notice.emit(
            "info",
            f"Unsure here (uncertainty {here.uncertainty:.0%}): paint what you see in the "
            f"middle. {NEXT_KEY} shows another place.",
        )

    def _zoom(self, shape: tuple[int, int]) -> None:
        seen = self._controller.view.view().region.shape
        share = max(n / max(all_of, 1) for n, all_of in zip(shape, seen, strict=True))
        if share < _SHARE and self._controller.view.planes_lie_flat():
            self._controller.viewer.scene.camera.zoom *= _SHARE / share
