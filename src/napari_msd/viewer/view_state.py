"""How the viewer shows layers: saved with a session, and brought back with it.

Values come from a file when they are brought back, so each is checked by napari's own setters and
left as it is if they refuse it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_msd.storage import JSON

_IMAGE = ("contrast_limits", "gamma", "opacity", "visible", "blending", "interpolation2d")
_ANNOTATION = ("opacity", "visible", "brush_size", "selected_label", "contour")
_PLACE = ("scale", "translate")
"""Of an annotation whose image is not there; else the image's are used."""
_LARGEST_INT, _LARGEST_FLOAT = 2**31 - 1, 1e30
"""What Qt's integers, and the numbers of single precision, hold."""
_RANGES = {
    "brush_size": (1, 1000),
    "contour": (0, 10),
    "selected_label": (0, 255),
    "gamma": (1e-3, 1e3),
    "zoom": (1e-9, 1e9),
}
"""Beyond them napari divides by zero, refuses the next stroke, or takes all memory: a brush or a
contour of n pixels needs an array of 4 n^2."""


def view_state(viewer: Any, image: Any, annotation: Any) -> dict[str, JSON]:
    """Camera, sliders, and the display of the chosen layers, as JSON."""
    camera, dims = viewer.scene.camera, viewer.dims
    state: dict[str, dict[str, JSON]] = {
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
    # JSON has no infinity, which contrast limits may be
    return {
        part: {name: value for name, value in values.items() if _usable(value)}
        for part, values in state.items()
    }


def channel_states(layers: Sequence[Any]) -> list[JSON]:
    """How each channel of an image is displayed, as JSON."""
    states: list[JSON] = []
    for layer in layers:
        values = _of_layer(layer, _IMAGE) | _colormap(layer)
        states.append({name: value for name, value in values.items() if _usable(value)})
    return states


def show_channels(states: JSON, layers: Sequence[Any]) -> None:
    """Bring back what `channel_states` told of these layers; unusable values are left out."""
    if isinstance(states, list) and len(states) == len(layers):
        for state, layer in zip(states, layers, strict=True):
            _apply(state, layer, (*_IMAGE, "colormap"))


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
        if value is None or not _usable(value) or not _in_range(name, value):
            continue
        if name == "visible" and value == getattr(target, name, None):
            continue  # napari would put the tool down that was taken meanwhile
        try:
            setattr(target, name, tuple(value) if isinstance(value, list) else value)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
            continue  # of another version of napari, or damaged


def _in_range(name: str, value: JSON) -> bool:
    if name not in _RANGES:
        return True
    least, most = _RANGES[name]
    return isinstance(value, int | float) and least <= value <= most


def _usable(value: JSON) -> bool:
    """Whether it is a text, a number that napari can compute with, or a list of such numbers."""
    if isinstance(value, list):
        return all(map(_moderate, value))
    return isinstance(value, str) or _moderate(value)


def _moderate(number: JSON) -> bool:
    if isinstance(number, int):
        return abs(number) <= _LARGEST_INT
    return isinstance(number, float) and abs(number) <= _LARGEST_FLOAT  # false for NaN, too
