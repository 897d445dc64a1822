"""Axes of an array in any order: each has a letter, like T, C, Z, Y, X.

S, the samples of an RGB pixel, is treated as C, the channels. The rest of the package knows arrays
in one order only, that of a `Space`: Z, Y and X last, and channels behind them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError, shown
from napari_msd.core.space import Space

COLOUR_SAMPLES = (3, 4)
"""Lengths of a last axis that is taken for colours when the axes are not named."""


@dataclass(frozen=True)
class AxisOrder:
    """The axes of an array, in its own order.

    Parameters
    ----------
    axes
        One letter for each axis, each letter once, Y and X among them; C for channels.
    shape
        Length of each axis.
    """

    axes: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: Sequence[int], dtype: np.dtype[np.generic], axes: str | None) -> AxisOrder:
        """Name the axes of an image.

        Parameters
        ----------
        shape, dtype
            Of the image.
        axes
            One letter per axis. If not given: YX, or YXC when the third and last
            axis has 3 or 4 entries.

        Raises
        ------
        ImageError
            If the letters do not fit the image, or it is empty or not of numbers.
        """
        shape = tuple(int(length) for length in shape)
        if axes is None:
            axes = _usual_axes(shape)
        if not isinstance(axes, str) or not re.fullmatch("[A-Za-z]{1,8}", axes):
            raise ImageError(f"Axes are up to 8 letters, like 'ZYX', not {shown(axes)}.")
        axes = axes.upper().replace("S", "C")
        if len(axes) != len(shape) or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
            raise ImageError(
                f"The axes {shown(axes)} do not fit an image of shape {shape}: give one "
                "letter for each axis, each letter once, Y and X among them."
            )
        if 0 in shape:
            raise ImageError("The image is empty; choose one with pixels in it.")
        if dtype.kind not in "buif":
            raise ImageError(f"An image of type {dtype} cannot be read; use numbers.")
        return cls(axes, shape)

    @property
    def n_channels(self) -> int:
        """Length of the axis C; 1 without one."""
        return self.length("C") if "C" in self.axes else 1

    @property
    def space_axes(self) -> str:
        """Letters of a `Space`'s axes: without C, the last ones Z, Y and X."""
        others = "".join(letter for letter in self.axes if letter not in "CZYX")
        return others + "Z" * ("Z" in self.axes) + "YX"

    @property
    def labels(self) -> AxisOrder:
        """The axes of this image's labels: its own without C."""
        axes = self.axes.replace("C", "")
        return AxisOrder(axes, tuple(map(self.length, axes)))

    def space(
        self,
        pixel_size: Sequence[float] | None = None,
        units: Sequence[str] | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> Space:
        """The image's space.

        Parameters
        ----------
        pixel_size, units
            Of each axis, in this order; ``None`` if unknown.
        channel_names
            Of each channel; ``None`` if they have none.
        """
        axes = self.space_axes
        places = [self.axes.index(letter) for letter in axes]
        return Space(
            axes,
            tuple(map(self.length, axes)),
            n_channels=self.n_channels,
            pixel_size=None if pixel_size is None else tuple(float(pixel_size[k]) for k in places),
            units=None if units is None else tuple(units[k] for k in places),
            channel_names=None if channel_names is None else tuple(channel_names),
        )

    def length(self, letter: str) -> int:
        """Length of an axis."""
        return self.shape[self.axes.index(letter)]

    def slices(self, box: Box) -> tuple[slice, ...]:
        """Index of a box of the space, with all channels, in an array of this order."""
        at = dict(zip(self.space_axes, box.slices, strict=True))
        return tuple(at.get(letter, slice(None)) for letter in self.axes)

    def in_space(self, part: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A part of an array of this order, as a view in the space's order.

        Several channels become the last axis; an axis of one channel is left out.
        """
        order = self.space_axes + ("C" if "C" in self.axes else "")
        moved = np.transpose(part, [self.axes.index(letter) for letter in order])
        return moved[..., 0] if "C" in self.axes and self.n_channels == 1 else moved

    def from_space(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The reverse of `in_space`: values of a box in the space's order, as a view."""
        order = self.space_axes
        if "C" in self.axes:
            order += "C"
            values = values[..., None] if values.ndim < len(order) else values
        return np.transpose(values, [order.index(letter) for letter in self.axes])


def _usual_axes(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3 and shape[-1] in COLOUR_SAMPLES:
        return "YXC"
    raise ImageError(
        f"An image of shape {shape} can be read in several ways; "
        "name its axes, like axes='ZYX' or axes='CYX'."
    )


def as_array(data: object, what: str) -> npt.NDArray[np.generic]:
    """Convert `data` to an array.

    Parameters
    ----------
    data
        Any object.
    what
        What it should be, like "image", for the error's sentence.

    Raises
    ------
    ImageError
        For ``None``, a file name, or a list that is not an array.
    """
    if data is None:
        raise ImageError(f"There is no {what}: None was given; give an array.")
    if isinstance(data, str | bytes | os.PathLike):
        raise ImageError(
            f"The {what} must be an array, not the name of a file; open {shown(str(data))} first, "
            "with napari_msd.open_source or skimage.io.imread."
        )
    try:
        return np.asarray(data)
    except (ValueError, TypeError) as error:  # rows of different lengths
        raise ImageError(
            f"The {what} must be an array; this is not an array of numbers."
        ) from error
