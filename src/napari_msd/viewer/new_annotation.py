"""A new layer for strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels

from napari_msd.viewer.label_data import new_strokes
from napari_msd.viewer.layers import placement, spatial_shape

if TYPE_CHECKING:
    from typing import Any


def new_annotation(image: Any, name: str, brush_size: int, data: Any = None) -> Labels:
    """A Labels layer over `image`, empty unless `data` is given."""
    if data is None:
        data = new_strokes(spatial_shape(image))
    layer = Labels(data, name=name, multiscale=False, **placement(image))
    layer.brush_size = brush_size
    layer.selected_label = 1
    return layer
