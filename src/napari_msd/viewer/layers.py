"""Shapes, checks and descriptions of napari's layers.

A *plane* is the last two axes of a layer; the axes before them number the planes.
Only public API of napari is used.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError, StrokesError
from napari_msd.core.space import Space
from napari_msd.images.reduced import PyramidReader
from napari_msd.session.ports import SOURCE
from napari_msd.viewer import axes_text
from napari_msd.viewer.axes import axes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

COLOURS = ("red", "green", "blue", "alpha")
"""Names of the channels of an image in colour."""


def pixels(layer: Any) -> Any:
    """The layer's array at full resolution (level 0 of a pyramid)."""
    return layer.data[0] if layer.multiscale else layer.data


def spatial_shape(layer: Any) -> tuple[int, ...]:
    """The layer's shape without the colours of an RGB image."""
    return tuple(int(n) for n in pixels(layer).shape[: layer.ndim])


def plane_shape(layer: Any) -> tuple[int, int]:
    """(Y, X) of the layer's planes."""
    shape = spatial_shape(layer)
    return shape[-2], shape[-1]


def space_of(layer: Any) -> Space:
    """The layer's axes and channels; the network convolves over the last two."""
    axes = axes_of(layer)
    return Space(
        axes.letters,
        spatial_shape(layer),
        n_channels=n_channels(layer),
        pixel_size=axes.pixel_size,
        units=axes.units,
        channel_names=COLOURS[: n_channels(layer)] if is_colour(layer) else None,
    )


def n_channels(layer: Any) -> int:
    """Channels of the network's input: those of an RGB image, else one."""
    return int(pixels(layer).shape[-1]) if is_colour(layer) else 1


def is_colour(layer: Any) -> bool:
    """Whether the layer is an image in colour, whose channels are always used together."""
    return bool(getattr(layer, "rgb", False))


def box_reader(layer: Any) -> Callable[[Box], NDArray[Any]]:
    """Function that reads a box; safe on another thread, also after the layer is gone.

    The array has the shape of the box; an RGB image adds its colours as the last axis.
    """
    levels = layer.data if layer.multiscale else [layer.data]
    return PyramidReader(list(levels), int(layer.ndim))


def plane_box(layer: Any, index: tuple[int, ...]) -> Box:
    """The (Y, X) plane of a layer at this index of its other axes."""
    ends = tuple(i + 1 for i in index)
    return Box(SOURCE, (*index, 0, 0), (*ends, *plane_shape(layer)))


def placement(layer: Any) -> dict[str, Any]:
    """Keyword arguments that give a new layer the position and scale of `layer`."""
    names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {name: getattr(layer, name) for name in names}


def same_placement(a: Any, b: Any) -> bool:
    """Whether equal pixel indices of both layers are at the same place."""
    if a.ndim != b.ndim:
        return False
    corners = [np.zeros(a.ndim), np.asarray(spatial_shape(a), float)]
    return all(np.allclose(a.data_to_world(corner), b.data_to_world(corner)) for corner in corners)


def axis_letters(layer: Any) -> str:
    """One letter per axis, as they are said or guessed (`napari_msd.viewer.axes`)."""
    return axes_of(layer).letters


def describe(image: Any, channels: int = 0) -> str:
    """A short description of an image, and of how many channels are used (0: of its own)."""
    text = axes_text.describe(
        axes_of(image),
        spatial_shape(image),
        channels or n_channels(image),
        rgb=is_colour(image),
    )
    return f"{text} · finest level of a pyramid" if image.multiscale else text


def check_image(image: Any) -> None:
    """Refuse an image that cannot be used for training, without reading any pixel.

    Raises
    ------
    ImageError
        With a sentence for the user.
    """
    shape = spatial_shape(image)
    if len(shape) < 2:
        raise ImageError(
            f"“{image.name}” has only one axis; choose an image with rows and columns."
        )
    if 0 in shape:
        raise ImageError(f"“{image.name}” is empty; choose an image that has pixels.")
    if prod(shape[-2:]) == 1:
        raise ImageError(f"“{image.name}” has a single pixel; choose a larger image.")
    if pixels(image).dtype.kind == "c":
        raise ImageError(f"“{image.name}” contains complex numbers; take their magnitude first.")


def check_pair(image: Any, annotation: Any) -> None:
    """Refuse an annotation that does not fit the image.

    Raises
    ------
    StrokesError
        With a sentence for the user.
    """
    wanted, found = spatial_shape(image), spatial_shape(annotation)
    if wanted != found:
        raise StrokesError(
            f"“{annotation.name}” is {_times(found)}, but “{image.name}” is {_times(wanted)}; "
            "press New for a layer that fits."
        )
    if not same_placement(image, annotation):
        raise StrokesError(
            f"“{annotation.name}” does not fit “{image.name}”: scale, position or rotation "
            "differ. Press New for a new layer, or give both the same placement."
        )


def fits(image: Any, annotation: Any) -> bool:
    """Whether an annotation fits the image, pixel for pixel."""
    try:
        check_pair(image, annotation)
    except StrokesError:
        return False
    return True


def small_brush(image: Any, screen_pixels_per_pixel: float, wanted: int) -> int:
    """A brush of about `wanted` screen pixels, never large relative to the image."""
    on_screen = wanted / max(screen_pixels_per_pixel, 1e-6)
    return int(np.clip(round(on_screen), 1, max(1, min(plane_shape(image)) // 40)))


def is_image(layer: Any) -> bool:
    """Whether a layer can be chosen as image."""
    return isinstance(layer, Image)


def is_labels(layer: Any) -> bool:
    """Whether a layer can hold strokes."""
    return isinstance(layer, Labels)


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `wanted` followed by the first free number."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} {number}"
    return name


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
