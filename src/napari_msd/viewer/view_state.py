"""How the viewer shows layers: saved with a session, and brought back with it.

Values come from a file when they are brought back, so each is checked by napari's own setters and
left as it is if they refuse it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.storage import JSON

_IMAGE = ("contrast_limits", "gamma", "opacity", "visible", "blending", "interpolation2d")
_ANNOTATION = ("opacity", "visible", "brush_size", "selected_label", "contour")
_PLACE = ("scale", "translate")
"""Of an annotation whose image is not there; else the image's are used."""


def view_state(viewer: Any, image: Any, annotation: Any) -> dict[str, JSON]:
    """Camera, sliders, and the display of the chosen layers, as JSON."""
    camera, dims = viewer.scene.camera, viewer.dims
    return {
        "camera": {
            "center": _numbers(camera.center),
            "zoom": float(camera.zoom),
            "angles": _numbers(camera.angles),
        },
        "dims": {
            "ndisplay": int(dims.ndisplay),
            "order": [int(axis) for axis in dims.order],
            "current_step": [int(step) for step in dims.current_step],
        },
        "image": _of_layer(image, _IMAGE) | _colormap(image),
        "annotation": _of_layer(annotation, (*_ANNOTATION, *_PLACE)),
    }


def show(state: Mapping[str, JSON], viewer: Any, image: Any, annotation: Any) -> None:
    """Bring back what `view_state` told; unusable values are left out."""
    if image is not None:
        _apply(state.get("image"), image, (*_IMAGE, "colormap"))
    names = _ANNOTATION if image is not None else (*_PLACE, *_ANNOTATION)
    _apply(state.get("annotation"), annotation, names)
    _apply(state.get("dims"), viewer.dims, ("ndisplay", "order", "current_step"))
    _apply(state.get("camera"), viewer.scene.camera, ("angles", "center", "zoom"))


def _numbers(values: Any) -> list[JSON]:
    return [float(value) for value in values]


def _of_layer(layer: Any, names: tuple[str, ...]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for name in names:
        value = getattr(layer, name, None)
        if isinstance(value, str | bool | int | float):
            found[name] = str(value) if isinstance(value, str) else value
        elif isinstance(value, list | tuple | np.ndarray):
            found[name] = _numbers(value)
    return found


def _colormap(image: Any) -> dict[str, JSON]:
    """A colormap's name; one without a public name cannot be found again by it."""
    colormap = getattr(image, "colormap", None)  # colour images have none
    return {} if colormap is None else {"colormap": str(colormap.name)}


def _apply(values: JSON, target: Any, names: tuple[str, ...]) -> None:
    if not isinstance(values, dict):
        return
    for name in names:
        value = values.get(name)
        if value is None or not _finite(value):
            continue
        try:
            setattr(target, name, tuple(value) if isinstance(value, list) else value)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
            continue  # of another version of napari, or damaged


def _finite(value: JSON) -> bool:
    numbers = value if isinstance(value, list) else [value]
    return all(not isinstance(n, float) or math.isfinite(n) for n in numbers)
