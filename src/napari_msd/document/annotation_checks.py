"""Annotations that cannot be learned from, each refused in one sentence."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from napari_msd.core.axes import as_array
from napari_msd.core.errors import ImageError, StrokesError
from napari_msd.core.settings import MAX_CLASSES

TWO_CLASSES = "Paint a few strokes of at least two classes."
MORE_OF_EACH = (
    "Paint a little more of each class: a dab of a few pixels is too small to learn from."
)


def checked_annotation(annotation: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An annotation that fits an image's labels of `shape`.

    Raises
    ------
    StrokesError
        If its shape or values do not fit, or nothing is painted.
    """
    try:
        array = as_array(annotation, "annotation")
    except ImageError as error:
        raise StrokesError(str(error)) from error
    if array.shape != shape:
        raise StrokesError(shape_sentence(array.shape, shape))
    if array.dtype.kind not in "bui":
        raise StrokesError(f"The annotation must hold whole numbers, not {array.dtype}.")
    if not array.any():
        raise StrokesError(f"The annotation is empty. {TWO_CLASSES}")
    if array.min() < 0 or array.max() > MAX_CLASSES:
        raise StrokesError(values_sentence(array.min(), array.max()))
    return array


def shape_sentence(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to do about an annotation of another shape than its image."""
    return (
        f"The annotation has shape {found}, the image needs {wanted}; "
        "paint on a layer of the image's size."
    )


def values_sentence(low: object, high: object) -> str:
    """What to do about values that are no classes."""
    return (
        f"Class values go from 1 to {MAX_CLASSES} (0 = unlabelled); this annotation has "
        f"values from {low} to {high}."
    )
