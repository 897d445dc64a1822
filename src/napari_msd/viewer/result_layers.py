"""Result layers: marked in their metadata, and added without changing the selection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_msd.images.napari_writer import REMARK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_msd.core.box import Box

_RESULT_KEY = "napari_msd_result"


def mark() -> dict[str, Any]:
    """The ``metadata`` that marks a result layer."""
    return {_RESULT_KEY: True}


def note_remark(layer: Any, text: str) -> None:
    """Store a warning to show when napari saves the layer; empty for none."""
    layer.metadata[REMARK_KEY] = text


def is_result(layer: Any) -> bool:
    """Whether a layer is a result layer: those are never offered as image or annotation."""
    return _RESULT_KEY in layer.metadata


@contextmanager
def selection_kept(viewer: Any) -> Iterator[None]:
    """Restore selection, active layer and its mode after layers were added."""
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
    """Index for a new result layer: below the annotation, else directly above the image."""
    layers = list(viewer.layers)
    return layers.index(annotation) if annotation in layers else layers.index(image) + 1


def fits(shape: tuple[int, ...], box: Box) -> bool:
    """Whether a box is inside an array of this shape."""
    return box.ndim == len(shape) and box.clip(shape) == box
