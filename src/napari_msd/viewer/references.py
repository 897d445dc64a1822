"""Where image layers came from, so that a session finds them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_msd.storage import ImageReference
from napari_msd.viewer import layers
from napari_msd.viewer.axes import axes_of, name_axes, origin

if TYPE_CHECKING:
    from collections.abc import Iterable


def reference_of(image: Any) -> ImageReference:
    """What is saved of an image layer: name, shape and origin, never its pixels."""
    came_from = origin(image)
    space = layers.space_of(image)
    return ImageReference(
        name=image.name,
        axes=space.axes,
        shape=space.shape,
        n_channels=space.n_channels,
        dtype=str(layers.pixels(image).dtype),
        path=came_from.path,
        reader=came_from.reader,
        sample=came_from.sample,
        part=came_from.part,
        axes_said=axes_of(image).said,
    )


def matching(reference: ImageReference, candidates: Iterable[Any]) -> Any:
    """The image layer that a reference means, or ``None``.

    The layer of the same name is preferred: one file may give several layers of the same shape.
    """
    found = [layer for layer in candidates if layers.is_image(layer) and _alike(reference, layer)]
    named = [layer for layer in found if layer.name == reference.name]
    return next(iter(named or found), None)


def restore_axes(reference: ImageReference, image: Any) -> None:
    """Name a layer's axes as they were named."""
    axes = axes_of(image)
    if reference.axes_said and (axes.letters, axes.said) != (reference.axes, True):
        name_axes([image], reference.axes)


def _alike(reference: ImageReference, image: Any) -> bool:
    if layers.spatial_shape(image) != reference.shape or origin(image).part != reference.part:
        return False
    return layers.n_channels(image) == reference.n_channels
