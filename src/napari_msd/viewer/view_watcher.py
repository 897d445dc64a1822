"""What is on screen: the shown plane and its visible rectangle.

The trainer predicts this part first. The camera moves many times a second, so its position
is read only a few times a second, and sent only when it changed.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_msd.core.box import Box
from napari_msd.session.ports import SOURCE
from napari_msd.viewer.layers import spatial_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERVAL_MS = 100
_MIN_SHARE = 0.25
"""A place that is shown fills at least this share of the visible part, so that it stands out."""
_CHECKS_AFTER_CHANGE = 3
"""napari computes the visible corners when it draws, shortly after the camera moved."""


class ViewWatcher(QObject):
    """Follows camera and sliders for one layer; `changed` carries the visible box."""

    changed = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Any = None
        self._last: Box | None = None
        self._checks_left = 0
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self._check_view)
        camera, dims = viewer.scene.camera.events, viewer.dims.events
        self._sources: tuple[Any, ...] = (
            camera.zoom,
            camera.center,
            dims.current_step,
            dims.order,
            dims.ndisplay,
        )
        for source in self._sources:
            source.connect(self._moved)

    def close(self) -> None:
        """Release viewer and layer."""
        self._timer.stop()
        self._layer = None
        for source in self._sources:
            source.disconnect(self._moved)
        self._sources = ()

    def watch(self, layer: Any) -> None:
        """Follow the view of this layer (``None``: of none)."""
        self._layer, self._last = layer, None
        self._moved()

    def _moved(self, event: object = None) -> None:
        self._checks_left = _CHECKS_AFTER_CHANGE
        if self._layer is not None and not self._timer.isActive():
            self._timer.start()

    def _check_view(self) -> None:
        self._checks_left -= 1
        if self._checks_left <= 0:
            self._timer.stop()
        if self._layer is None:
            return
        view = self.view()
        if view != self._last:
            self._last = view
            self.changed.emit(view)

    @property
    def watching(self) -> bool:
        """Whether it follows a layer."""
        return self._layer is not None

    # --- the visible part ------------------------------------------------------------------

    def shown_index(self) -> tuple[int, ...]:
        """The layer's index at the sliders' position, one number per axis."""
        layer = self._layer
        if layer is None:
            return ()
        shape = spatial_shape(layer)
        where = np.asarray(layer.world_to_data(self._viewer.dims.point))
        return tuple(
            int(np.clip(round(float(x)), 0, max(n - 1, 0)))
            for x, n in zip(where, shape, strict=True)
        )

    def shows(self, box: Box) -> bool:
        """Whether any of a box is on the plane that is on screen, at whatever place."""
        axes, index = self._plane_axes(), self.shown_index()
        return len(index) == box.ndim and all(
            axis in axes or box.start[axis] <= at < box.stop[axis] for axis, at in enumerate(index)
        )

    def plane(self) -> Box:
        """All of the plane that is on screen: one pixel thick along the axis that it cuts."""
        return self._along_plane((0,) * self._layer.ndim, spatial_shape(self._layer))

    def _along_plane(self, start: Sequence[int], stop: Sequence[int]) -> Box:
        """The part of the plane on screen that lies between `start` and `stop`."""
        index = self.shown_index()
        box = Box(SOURCE, index, tuple(i + 1 for i in index))
        for axis in self._plane_axes():
            box = box.along(axis, int(start[axis]), int(stop[axis]))
        return box

    def _plane_axes(self) -> tuple[int, ...]:
        """The layer's axes along the plane on screen: Y and X in a view of volumes."""
        axes = self.displayed_axes()
        n = self._layer.ndim if self._layer is not None else 2
        return axes if self._viewer.dims.ndisplay == 2 and len(axes) == 2 else (n - 2, n - 1)

    def displayed_axes(self) -> tuple[int, ...]:
        """The displayed axes, as axes of the layer."""
        if self._layer is None:
            return ()
        missing = self._viewer.dims.ndim - self._layer.ndim
        return tuple(axis - missing for axis in self._viewer.dims.displayed if axis >= missing)

    def planes_lie_flat(self) -> bool:
        """Whether the view shows (Y, X) planes, not a cut across them."""
        n = self._layer.ndim if self._layer is not None else 2
        return self._viewer.dims.ndisplay == 2 and set(self.displayed_axes()) == {n - 2, n - 1}

    def show(self, image: Any, box: Box) -> bool:
        """Show a part of an image on screen, and zoom in if it would be tiny.

        Returns
        -------
        bool
            False if the image has no such part, because it is of a previous image.
        """
        if box.ndim != image.ndim:
            return False
        viewer = self._viewer
        self._zoom(box)
        middle = [(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)]
        world = np.asarray(image.data_to_world(middle))
        first = viewer.dims.ndim - len(world)  # the viewer may have axes that the image lacks
        for axis in viewer.dims.not_displayed:
            if axis >= first:
                viewer.dims.set_point(axis, world[axis - first])
        centre = [float(world[axis - first]) for axis in viewer.dims.displayed if axis >= first]
        viewer.scene.camera.center = (0.0,) * (3 - len(centre)) + tuple(centre)
        return True

    def go_to(self, axis: int, index: int) -> None:
        """Move the slider of one of the layer's axes; the others stay."""
        if self._layer is None:
            return
        place = list(map(float, self.shown_index()))
        place[axis] = index
        world = np.asarray(self._layer.data_to_world(place))
        first = self._viewer.dims.ndim - self._layer.ndim
        self._viewer.dims.set_point(axis + first, float(world[axis]))

    def _zoom(self, box: Box) -> None:
        seen = self.view().shape
        share = max(box.shape[axis] / max(seen[axis], 1) for axis in self._plane_axes())
        if share < _MIN_SHARE and self._viewer.dims.ndisplay == 2:
            self._viewer.scene.camera.zoom *= _MIN_SHARE / share

    def view(self) -> Box:
        """The visible part of the shown plane; the whole plane if nothing is drawn yet."""
        plane = self.plane()
        if self._viewer.dims.ndisplay != 2 or len(self.displayed_axes()) != 2:
            return plane  # a view of a volume has no visible rectangle
        if self._layer.multiscale:
            start, stop = self._seen_by_camera()
        else:
            # inclusive corners, in the layer's own pixels
            start, last = np.asarray(self._layer.corner_pixels).astype(int).tolist()
            stop = [i + 1 for i in last]
        seen = self._along_plane(start, stop).intersect(plane)
        return plane if seen.size <= 1 else seen

    def _seen_by_camera(self) -> tuple[list[int], list[int]]:
        """Start and stop, by axis, of what the canvas shows, in pixels of the finest level.

        The corners that napari keeps of a layer with levels are those of whole chunks, and in
        pixels of the level that is shown.
        """
        viewer, axes = self._viewer, list(self._viewer.dims.displayed)
        half = np.asarray(viewer.canvas.size, float) / 2 / viewer.scene.camera.zoom
        centre = np.asarray(viewer.scene.camera.center, float)[-2:]
        corners = []
        for signs in product((-1, 1), repeat=2):  # all four: the layer may be rotated
            point = np.array(viewer.dims.point, float)
            point[axes] = centre + half * signs
            corners.append(self._layer.world_to_data(point))
        # pixel centres are whole numbers
        low, high = np.floor(np.min(corners, axis=0) + 0.5), np.floor(np.max(corners, axis=0) + 0.5)
        shape = np.asarray(spatial_shape(self._layer))  # far outside, numbers can be huge
        start, stop = np.clip(low, 0, shape), np.clip(high + 1, 0, shape)
        return start.astype(int).tolist(), stop.astype(int).tolist()
