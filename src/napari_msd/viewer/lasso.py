"""The lasso: draw around a part of the segmentation that is right; it becomes strokes.

napari's own lasso of a Shapes layer draws the outline. The layer exists only while one draws;
then the active layer, its mode and the selection are what they were before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from PIL import Image, ImageDraw
from qtpy.QtCore import QObject, QTimer, Signal

from napari_msd.viewer.layers import pixels, placement
from napari_msd.viewer.result_layers import mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_msd.viewer.annotation_tools import AnnotationTools
    from napari_msd.viewer.view_watcher import ViewWatcher

_COLOR = "#ffe14d"
_WIDTH_ON_SCREEN = 2.0


class Lasso(QObject):
    """Copies what the segmentation shows inside an outline to the annotation.

    Strokes inside the outline stay as they are; only pixels without a stroke are filled.
    """

    ended = Signal(int)
    """Drawing has ended; carries the number of pixels that became strokes."""
    switched = Signal(bool)
    """Whether an outline is being drawn."""

    def __init__(
        self,
        viewer: Any,
        screen: ViewWatcher,
        tools: AnnotationTools,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._screen, self._tools = viewer, screen, tools
        self.layer: Any = None
        self._segmentation: Any = None
        self._before: tuple[Any, Any, list[Any]] = (None, None, [])
        """Active layer, its mode, and the selected layers."""

    @property
    def active(self) -> bool:
        """Whether an outline is being drawn."""
        return self.layer is not None

    def start(self, image: Any, segmentation: Any) -> None:
        """Let the person draw an outline on the plane of `image` that is on screen."""
        self.cancel()
        viewer = self._viewer
        selection = viewer.layers.selection
        active = selection.active
        self._before = active, getattr(active, "mode", None), list(selection)
        zoom = float(viewer.scene.camera.zoom) * float(min(abs(image.scale[-2:])))
        layer = Shapes(
            ndim=image.ndim,
            edge_color=_COLOR,
            face_color="transparent",
            edge_width=max(_WIDTH_ON_SCREEN / max(zoom, 1e-6), 0.1),
            name="draw around what is right",
            metadata=mark(),
            **placement(image),
        )
        self._segmentation, self.layer = segmentation, layer
        viewer.layers.append(layer)
        selection.active = layer
        layer.mode = "add_polygon_lasso"
        layer.events.data.connect(self._on_data)
        selection.events.active.connect(self._on_active)
        viewer.layers.events.removed.connect(self._on_removed)
        self.switched.emit(True)

    def cancel(self) -> None:
        """End drawing without copying anything."""
        if self.active:
            self._end(0)

    # --- events --------------------------------------------------------------------------

    def _on_data(self, event: Any = None) -> None:
        """An outline is complete: napari still handles the mouse, so copy a moment later."""
        if str(getattr(event, "action", "")).rsplit(".", 1)[-1].lower() == "added":
            QTimer.singleShot(0, self._finish)

    def _on_active(self, event: Any = None) -> None:
        if self.active and self._viewer.layers.selection.active != self.layer:
            QTimer.singleShot(0, self._cancel_if_left)

    def _cancel_if_left(self) -> None:
        """The person chose another layer: leave it active."""
        if self.active and self._viewer.layers.selection.active != self.layer:
            self._before = (None, None, [])
            self.cancel()

    def _on_removed(self, event: Any = None) -> None:
        if self.active and self.layer not in self._viewer.layers:
            self._end(0)

    def _finish(self) -> None:
        if not self.active:
            return
        outlines = list(self.layer.data)
        indices = self._inside(np.asarray(outlines[-1])[:, -2:]) if outlines else None
        n_copied = 0 if indices is None else self._copy(indices)
        self._end(n_copied)

    def _inside(self, outline: NDArray[np.floating[Any]]) -> NDArray[np.intp] | None:
        """Row and column, (n, 2), of all pixels of the plane inside an outline of (n, 2)."""
        height, width = self._segmentation.data.shape[-2:]
        low = np.clip(np.floor(outline.min(axis=0)), 0, None).astype(int)
        high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 1, (height, width))
        rows, columns = (high - low).tolist()
        if rows <= 0 or columns <= 0 or len(outline) < 3:
            return None
        mask = Image.new("1", (columns, rows))
        corners = [(float(x), float(y)) for y, x in outline - low]
        ImageDraw.Draw(mask).polygon(corners, fill=1)
        found: NDArray[np.intp] = np.argwhere(np.asarray(mask)) + low
        return found

    def _copy(self, inside: NDArray[np.intp]) -> int:
        """Copy the segmentation to pixels without a stroke; returns their number."""
        annotation = self._tools.layer
        if annotation is None or not len(inside):
            return 0
        plane = self._screen.shown_index()[:-2]
        low, high = inside.min(axis=0), inside.max(axis=0) + 1
        box = (*plane, *map(slice, low, high))
        rows, columns = (inside - low).T
        shown = np.asarray(self._segmentation.data[box])[rows, columns]
        painted = np.asarray(pixels(annotation)[box])[rows, columns]
        new = (shown > 0) & (painted == 0)
        chosen = inside[new]
        index = np.tile(np.asarray(plane, np.intp), (len(chosen), 1))
        self._tools.fill(np.hstack([index, chosen]), shown[new])
        return int(new.sum())

    def _end(self, n_copied: int) -> None:
        layer, self.layer = self.layer, None
        self._segmentation = None
        viewer = self._viewer
        layer.events.data.disconnect(self._on_data)
        viewer.layers.selection.events.active.disconnect(self._on_active)
        viewer.layers.events.removed.disconnect(self._on_removed)
        if layer in viewer.layers:
            viewer.layers.remove(layer)
        self._restore()
        self.switched.emit(False)
        self.ended.emit(n_copied)

    def _restore(self) -> None:
        """Make the former layer active, with its mode and the former selection."""
        active, mode, selected = self._before
        self._before = (None, None, [])
        present = self._viewer.layers
        if active is None or active not in present:
            return
        present.selection.clear()
        present.selection.update(layer for layer in selected if layer in present)
        present.selection.active = active
        if mode is not None and active.mode != mode:
            active.mode = mode
