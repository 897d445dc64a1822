"""Makes and connects the parts of a viewer that a session needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_msd.session.ports import Viewer
from napari_msd.viewer.annotation_tools import AnnotationTools
from napari_msd.viewer.chosen_layers import ChosenLayers
from napari_msd.viewer.overlay import Overlay
from napari_msd.viewer.stroke_watcher import StrokeWatcher
from napari_msd.viewer.uncertainty import UncertaintyLayer
from napari_msd.viewer.view_watcher import ViewWatcher

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

    from napari_msd.session.classes import ClassTable


@dataclass(frozen=True)
class ConnectedViewer:
    """The parts with their concrete types: the window uses more of them than a session does."""

    chosen: ChosenLayers
    strokes: StrokeWatcher
    screen: ViewWatcher
    annotation_tools: AnnotationTools
    overlay: Overlay
    uncertainty: UncertaintyLayer

    @property
    def ports(self) -> Viewer:
        """The parts as a session sees them."""
        return Viewer(
            self.chosen,
            self.strokes,
            self.screen,
            self.annotation_tools,
            self.overlay,
            self.uncertainty,
        )


def connect_viewer(viewer: Any, classes: ClassTable, parent: QObject) -> ConnectedViewer:
    """Make the parts; each exists as long as `parent` and releases the viewer when closed."""
    screen = ViewWatcher(viewer, parent)
    strokes = StrokeWatcher(screen, parent)
    overlay = Overlay(viewer, screen, lambda: strokes.brush_moving, parent)
    uncertainty = UncertaintyLayer(viewer, screen)
    overlay.flushing.connect(uncertainty.flush)
    overlay.volume_due.connect(uncertainty.show_volume)
    return ConnectedViewer(
        ChosenLayers(viewer, parent),
        strokes,
        screen,
        AnnotationTools(viewer, classes, parent),
        overlay,
        uncertainty,
    )
