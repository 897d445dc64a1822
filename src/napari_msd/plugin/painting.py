"""The brush's buttons of the panel, and the lasso."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from superqt.utils import signals_blocked

from napari_msd.plugin import texts

if TYPE_CHECKING:
    from napari_msd.session.controller import Controller
    from napari_msd.viewer.connect import ConnectedViewer
    from napari_msd.viewer.lasso import Lasso
    from napari_msd.widgets.panel import Panel


class Painting(QObject):
    """Connects paint, erase, brush size, undo and lasso with the annotation layer.

    Pressing one of these buttons is the person's wish: only then is the annotation made active.
    """

    def __init__(
        self,
        controller: Controller,
        layers: ConnectedViewer,
        lasso: Lasso,
        panel: Panel,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._controller, self._layers = controller, layers
        self._lasso, self._panel = lasso, panel
        tools = self._tools = layers.annotation_tools
        panel.paint_button.clicked.connect(lambda: tools.take_tool("paint"))
        panel.erase_button.clicked.connect(self._on_erase)
        panel.brush_slider.valueChanged.connect(tools.set_brush_size)
        panel.undo_button.clicked.connect(tools.undo)
        panel.redo_button.clicked.connect(tools.redo)
        panel.lasso_button.clicked.connect(self._on_lasso)
        tools.brush_changed.connect(self.refresh)
        lasso.switched.connect(self._on_lasso_switched)
        lasso.ended.connect(self._on_lasso_ended)
        # what is drawn belongs to the layers that are chosen now
        controller.chosen.changed.connect(lambda lost: lasso.cancel())
        controller.overlay.deleted.connect(lasso.cancel)

    def refresh(self) -> None:
        """Show tool and brush size."""
        self._panel.classes.show_brush(self._tools.mode, self._tools.brush_size)

    def _on_erase(self) -> None:
        self._tools.take_tool("paint" if self._tools.mode == "erase" else "erase")
        self.refresh()

    def _on_lasso(self, checked: bool) -> None:
        controller = self._controller
        controller.notices.acted.emit()
        if self._lasso.active:
            self._lasso.cancel()
        elif controller.overlay.present:
            controller.overlay.flush()
            self._lasso.start(controller.overlay.layer)
            if self._lasso.active:
                controller.notices.info(texts.LASSO)
        self._on_lasso_switched(self._lasso.active)

    def _on_lasso_switched(self, on: bool) -> None:
        button = self._panel.lasso_button
        with signals_blocked(button):
            button.setChecked(on)
        if not on:
            self._controller.notices.past.emit(texts.LASSO)

    def _on_lasso_ended(self, n_pixels: int) -> None:
        if n_pixels:
            self._controller.strokes.finish()  # an edit that is noticed later dismisses notices
            self._controller.notices.info(texts.lasso_copied(n_pixels))
