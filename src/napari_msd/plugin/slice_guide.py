"""Keeps the strip of slices in step with what is predicted, painted and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from napari_msd.session.slice_confidence import SliceConfidence
from napari_msd.trainer.messages import Event, OverlayBlock

if TYPE_CHECKING:
    from napari_msd.session.controller import Controller
    from napari_msd.viewer.view_watcher import ViewWatcher
    from napari_msd.widgets.slice_strip import SliceStrip

_INTERVAL_MS = 200
"""The strip is drawn at most so often."""


class SliceGuide(QObject):
    """Shows the slices of a stack, and goes to the one that is clicked.

    Parameters
    ----------
    controller
        The session.
    screen
        Knows which slice is on screen.
    strip
        Shows them.
    """

    def __init__(
        self, controller: Controller, screen: ViewWatcher, strip: SliceStrip, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._controller, self._screen, self._strip = controller, screen, strip
        self._known = SliceConfidence()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self._show)
        controller.heard.connect(self._on_event)
        controller.network_changed.connect(self._on_network)
        controller.chosen.changed.connect(self._soon)
        controller.sync.counted.connect(self._soon)
        screen.changed.connect(self._soon)
        strip.picked.connect(self._on_picked)

    def close(self) -> None:
        """Draw no more."""
        self._timer.stop()

    def _soon(self, changed: object = None) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_event(self, event: Event) -> None:
        space = self._controller.chosen.space
        if isinstance(event, OverlayBlock) and space is not None:
            fits = event.box.ndim == space.ndim > 2
            if event.confidence is not None and event.scale == 1 and fits:
                self._known.note(event.box, event.confidence, space)
                self._soon()

    def _on_network(self) -> None:
        self._known.forget()
        self._soon()

    def _on_picked(self, number: int) -> None:
        space = self._controller.chosen.space
        if space is not None:
            self._screen.go_to(space.ndim - 3, number)

    def _show(self) -> None:
        space, screen = self._controller.chosen.space, self._screen
        stack = space is not None and space.ndim > 2 and space.shape[-3] > 1
        if space is None or not stack or not screen.watching or not screen.planes_lie_flat():
            self._strip.show_slices(None)
            return
        annotation = self._controller.strokes.snapshot.annotation
        shown = screen.shown_index()
        if len(shown) == space.ndim:
            self._strip.show_slices(self._known.along(space, shown, annotation))
