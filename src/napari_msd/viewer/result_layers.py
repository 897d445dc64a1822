"""Layers that we add to the viewer: marked as ours, and never in the person's way."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_msd.images.napari_writer import REMARK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_msd.core.box import Box

_OURS = "napari_msd_result"


def mark() -> dict[str, Any]:
    """The ``metadata`` of a layer of ours."""
    return {_OURS: True}


def note_remark(layer: Any, text: str) -> None:
    """Keep with the layer what has to be said when napari saves it; empty for nothing."""
    layer.metadata[REMARK_KEY] = text


def is_result(layer: Any) -> bool:
    """Whether a layer is a result of ours: never offered as image or annotation."""
    return _OURS in layer.metadata


@contextmanager
def undisturbed(viewer: Any) -> Iterator[None]:
    """Put selection, active layer and its mode back after layers were added."""
    selection = viewer.layers.selection
    active, selected = selection.active, set(selection)
    mode = getattr(active, "mode", None)
    try:
        yield
    finally:
        still = {layer for layer in selected if layer in viewer.layers}
        if active is not None and active in viewer.layers:
            selection.clear()
            selection.update(still)
            selection.active = active
            if mode is not None and active.mode != mode:
                active.mode = mode
        elif still:
            selection.clear()
            selection.update(still)


def place_between(viewer: Any, image: Any, annotation: Any) -> int:
    """Index for a new layer of ours: below the annotation, else right above the image."""
    layers = list(viewer.layers)
    return layers.index(annotation) if annotation in layers else layers.index(image) + 1


def fits(shape: tuple[int, ...], box: Box) -> bool:
    """Whether a box lies inside an array of this shape."""
    return box.ndim == len(shape) and box.clip(shape) == box
