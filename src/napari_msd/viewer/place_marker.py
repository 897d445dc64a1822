"""A ring around the place that Show me has found, for two seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from qtpy.QtCore import QObject, QTimer

from napari_msd.viewer.layers import placement
from napari_msd.viewer.result_layers import mark, selection_kept

if TYPE_CHECKING:
    from napari_msd.core.box import Box

_SHOWN_MS = 2000
_COLOR = "#ffe14d"


class PlaceMarker(QObject):
    """Shows a ring in a layer of its own, and removes it by itself.

    Active layer, selection and mode stay as they are.
    """

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SHOWN_MS)
        self._timer.timeout.connect(self.remove)

    def show(self, image: Any, box: Box) -> None:
        """Show a ring around `box` of `image`."""
        self.remove()
        middle = [(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)]
        layer = Points(
            np.asarray([middle]),
            size=max(box.shape[-2:]),
            face_color="transparent",
            border_color=_COLOR,
            border_width=0.06,
            name="uncertain here",
            metadata=mark(),
            **placement(image),
        )
        with selection_kept(self._viewer):
            self._viewer.layers.append(layer)
        layer.editable = False
        self.layer = layer
        self._timer.start()

    def remove(self) -> None:
        """Remove the ring, if there is one."""
        self._timer.stop()
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            with selection_kept(self._viewer):
                self._viewer.layers.remove(layer)
