"""Where to paint next: the uncertainty layer, and Show me's jump to a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_msd.core.errors import MSDError
from napari_msd.session import texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.session.connection import TrainerConnection
    from napari_msd.session.network_choice import NetworkChoice
    from napari_msd.session.notices import Notices
    from napari_msd.session.ports import Viewer
    from napari_msd.session.sync import TrainerSync
    from napari_msd.trainer.messages import LookHere, OverlayBlock


class ActiveLearning:
    """Shows where the network is uncertain, on request.

    Parameters
    ----------
    viewer
        Image, view and uncertainty layer.
    sync, connection
        Connect to the trainer.
    network
        Knows whether there is a trained network.
    notices
        Receives sentences for the status line.
    attach_overlay
        Makes sure that the segmentation layer exists.
    """

    switched = Signal(bool)
    """Carries whether the uncertainty layer is on, whatever caused the change."""

    looked = Signal(object)
    """Carries the box that Show me has moved the view to."""

    def __init__(
        self,
        viewer: Viewer,
        sync: TrainerSync,
        connection: TrainerConnection,
        network: NetworkChoice,
        notices: Notices,
        attach_overlay: Callable[[], None],
    ) -> None:
        self._viewer, self._sync, self._connection = viewer, sync, connection
        self._network, self._notices = network, notices
        self._attach_overlay = attach_overlay
        self.on = False
        self._show_requested = False
        """Whether the user waits for Show me and has not painted since."""
        viewer.strokes.edited.connect(self._on_edited)
        viewer.uncertainty.removed.connect(self._on_removed)

    # --- the layer -----------------------------------------------------------------------

    def switch(self, on: bool) -> None:
        """Switch the uncertainty layer on or off.

        Raises
        ------
        MSDError
            If there is no image to show it for.
        """
        if on == self.on:
            return
        try:
            if on:
                self._sync.open(need_annotation=False)
                self._attach_overlay()
                self._attach()
        except MSDError:
            self.switched.emit(False)
            raise
        self.on = self._sync.uncertainty = on
        if not on:
            self._viewer.uncertainty.put_away()
        self._connection.client.set_uncertainty(on)
        self.switched.emit(on)
        if on and self._network.kept is None:
            self._notices.info(texts.UNCERTAINTY_NEEDS_NETWORK)
        elif on:
            self._notices.info(texts.COMPUTING)

    def put(self, block: OverlayBlock) -> None:
        """Write the uncertainty of a predicted block."""
        if block.uncertainty is not None:
            self._viewer.uncertainty.put(block)
            self._notices.past.emit(texts.COMPUTING)

    def layers_changed(self) -> None:
        """Remove the layer: it belongs to another image, or to another shape."""
        self._show_requested = False
        self._viewer.uncertainty.remove()
        if self.on and self._viewer.chosen.problem(need_annotation=False) is None:
            try:
                self._attach()
            except MSDError as error:  # too large an image
                self.switch(False)
                self._notices.warn(str(error))

    def _attach(self) -> None:
        chosen = self._viewer.chosen
        assert chosen.image is not None  # a session is open on it
        self._viewer.uncertainty.attach(chosen.image, chosen.fitting)

    def _on_removed(self) -> None:
        if self.on:
            self.switch(False)

    # --- Show me -------------------------------------------------------------------------

    def show_me(self) -> None:
        """Ask the trainer where new strokes would help most.

        Raises
        ------
        MSDError
            If there is no network or no image.
        """
        self._sync.open(need_annotation=False)
        if self._network.kept is None:
            raise MSDError(texts.SHOW_ME_NEEDS_NETWORK)
        self._connection.client.show_me()
        self._show_requested = True
        self._notices.info(texts.LOOKING)

    def _on_edited(self) -> None:
        self._show_requested = False  # do not move the view while the user paints

    def look(self, here: LookHere) -> None:
        """Show a place on screen, if the user is still waiting for one."""
        wanted, self._show_requested = self._show_requested, False
        image = self._viewer.chosen.image
        if not wanted or image is None:
            return
        if self._viewer.screen.show(image, here.box):
            self._notices.info(texts.uncertain_here(here.uncertainty))
            self.looked.emit(here.box)  # after its sentence: the next one ends what is shown
