"""One layer per channel of an array that has an axis of channels; nothing is copied."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import CMYBGR, MAGENTA_GREEN

from napari_msd.core.errors import ImageError
from napari_msd.viewer import layers
from napari_msd.viewer.axes import PART_KEY, axes_of, name_axes, origin

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHANNELS = 64
"""An axis with more entries is hardly one of channels, and napari would need minutes."""


class ArrayPart:
    """One index along an axis of an array that reads what it is asked for: zarr, tensorstore.

    Parameters
    ----------
    array
        Anything with a shape and a type that gives NumPy arrays, or what they are made of, for
        slices.
    axis, index
        The axis that is left out, and where on it.
    """

    def __init__(self, array: Any, axis: int, index: int) -> None:
        self._array, self._axis, self._index = array, axis, index
        self.shape: tuple[int, ...] = (*array.shape[:axis], *array.shape[axis + 1 :])
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape))

    def __getitem__(self, key: Any) -> np.ndarray:
        """What is asked for, read now."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        keys.insert(self._axis, self._index)
        return np.asarray(self._array[tuple(keys)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it, in memory."""
        return np.asarray(self[...], dtype)


def split_channels(viewer: Any, image: Any, axis: int) -> list[Any]:
    """Add a layer for each index of an axis, above the image, shown as napari shows channels.

    Parameters
    ----------
    viewer
        Holds the layer.
    image
        An image layer.
    axis
        One of its axes before Y and X.

    Returns
    -------
    list of Image
        The channels. The layer is still there: remove it when they are chosen.

    Raises
    ------
    ImageError
        If there are too many for channels, or the layer is sheared; one sentence, nothing changed.
    """
    number = layers.spatial_shape(image)[axis]
    if number > MAX_CHANNELS:
        raise ImageError(
            f"“{image.name}” has {number} entries along that axis, too many for channels "
            f"({MAX_CHANNELS} at most); choose another axis."
        )
    if np.any(np.asarray(image.shear)):
        raise ImageError(f"“{image.name}” is sheared and cannot be split; remove the shear first.")
    axes = axes_of(image)
    named = axes.channels if len(axes.channels) == number else ()
    names = named or tuple(f"{image.name} C{i + 1}" for i in range(number))
    colours = ["gray"] if number == 1 else MAGENTA_GREEN if number == 2 else CMYBGR
    place = _placement(image, axis)
    came_from = origin(image)
    made = []
    for i, (name, colour) in enumerate(zip(names, cycle(colours), strict=False)):
        parts = [_part(level, axis, i) for level in _levels(image)]
        made.append(
            Image(
                parts if image.multiscale else parts[0],
                multiscale=image.multiscale,
                rgb=False,
                name=name,
                colormap=colour,
                blending="additive" if i else "translucent_no_depth",
                metadata={**image.metadata, PART_KEY: came_from._replace(part=(axis, i))},
                **place,
            )
        )
    if axes.said:
        name_axes(made, axes.letters[:axis] + axes.letters[axis + 1 :])
    at = list(viewer.layers).index(image)
    for i, layer in enumerate(made):
        viewer.layers.insert(at + 1 + i, layer)
    return made


def _levels(image: Any) -> Sequence[Any]:
    return list(image.data) if image.multiscale else [image.data]


def _part(array: Any, axis: int, index: int) -> Any:
    """A view: NumPy and dask have their own."""
    if isinstance(array, np.ndarray) or type(array).__module__.startswith("dask"):
        return array[(slice(None),) * axis + (index,)]
    return ArrayPart(array, axis, index)


def _placement(image: Any, axis: int) -> dict[str, Any]:
    """Where the layer is, without one of its axes."""
    keep = [i for i in range(image.ndim) if i != axis]
    affine = np.asarray(image.affine)
    homogeneous = [*keep, image.ndim]
    return {
        "scale": np.asarray(image.scale)[keep],
        "translate": np.asarray(image.translate)[keep],
        "rotate": np.asarray(image.rotate)[np.ix_(keep, keep)],
        "affine": affine[np.ix_(homogeneous, homogeneous)],
        "units": [image.units[i] for i in keep],
    }
