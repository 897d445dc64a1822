"""Switches between segmentation, uncertainty and the image alone, and sets the opacity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_msd.session.view_mode import ViewMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.session.controller import Controller
    from napari_msd.viewer.connect import ConnectedViewer
    from napari_msd.widgets.panel import Panel


class ViewSwitch(QObject):
    """Keeps the panel's three-way switch and the result layers in step.

    Nothing is stored here: which layers are visible says what the mode is, so the eyes of napari's
    layer list count, too.
    """

    def __init__(
        self, controller: Controller, layers: ConnectedViewer, panel: Panel, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._controller, self._layers, self._panel = controller, layers, panel
        panel.view.mode_wanted.connect(self.show)
        panel.opacity_slider.valueChanged.connect(self._on_opacity)
        controller.active_learning.switched.connect(self._on_uncertainty)

    @property
    def mode(self) -> ViewMode:
        """What is shown over the image."""
        if self._controller.active_learning.on:
            return ViewMode.UNCERTAINTY
        return ViewMode.SEGMENTATION if self._layers.overlay.shown else ViewMode.IMAGE

    def show(self, mode: ViewMode) -> None:
        """Show something else."""
        controller, learning = self._controller, self._controller.active_learning
        if learning.on is not (mode is ViewMode.UNCERTAINTY):
            controller.attempt(lambda: learning.switch(mode is ViewMode.UNCERTAINTY))
        if not learning.on:
            self._layers.overlay.shown = mode is not ViewMode.IMAGE
        self.refresh()

    def hide(self) -> Callable[[], None]:
        """Show the image alone until the returned function is called."""
        functions = [self._layers.overlay.hide(), self._layers.uncertainty.hide()]

        def show_again() -> None:
            for function in functions:
                function()

        return show_again

    def refresh(self) -> None:
        """Show mode and opacity in the panel."""
        mode = self.mode
        self._panel.view.show_mode(mode)
        opacity = {
            ViewMode.SEGMENTATION: self._layers.overlay.opacity,
            ViewMode.UNCERTAINTY: self._layers.uncertainty.opacity,
        }
        self._panel.view.show_opacity(opacity.get(mode))

    def _on_opacity(self, percent: int) -> None:
        if self.mode is ViewMode.UNCERTAINTY:
            self._layers.uncertainty.set_opacity(percent / 100)
        else:
            self._layers.overlay.opacity = percent / 100

    def _on_uncertainty(self, on: bool) -> None:
        """Uncertainty takes the place of the segmentation, whatever switched it on."""
        self._layers.overlay.shown = not on
        self.refresh()
