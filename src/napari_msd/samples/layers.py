"""Strokes of samples as napari's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_msd.core.palette import class_color

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

LayerData = tuple[Any, dict[str, Any], str]
"""The layer's data (an array, or the levels of a pyramid) and attributes, and its type."""


def strokes_layer(
    image: str, strokes: np.ndarray, class_names: Mapping[int, str], **more: Any
) -> LayerData:
    """A Labels layer of strokes with the names and colours of their classes.

    Parameters
    ----------
    image
        Name of the image.
    strokes
        0 = unlabelled, otherwise classes.
    class_names
        Name of each class.
    **more
        Further attributes of the layer, like ``scale``.
    """
    colors = {value: class_color(value) for value in class_names}
    about: dict[str, Any] = {
        "name": f"{image} strokes",
        "opacity": 0.8,
        "colormap": {None: "transparent", 0: "transparent", **colors},
        "metadata": {
            "napari_msd_classes": {
                str(value): {"name": name, "color": colors[value]}
                # a segmentation that shows the background, too, tints the whole image
                | ({"visible": False} if name == "background" else {})
                for value, name in class_names.items()
            }
        },
    }
    return strokes, about | more, "labels"
