"""Class colours as napari's colormaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from napari_msd.core.palette import class_color
from napari_msd.core.settings import MAX_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

SPARE_COLORS = 9
"""So many values after the last class have colours, for classes to come."""


def label_colormap(colors: Mapping[int, str], *, spare: int = 0) -> DirectLabelColormap:
    """Colormap of a Labels layer in the class colours.

    Parameters
    ----------
    colors
        Colour of each class value; unlabelled pixels are transparent.
    spare
        Number of values after the last class that get their colours in advance, so that the
        first stroke of a new class does not change colour.
    """
    table: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    return DirectLabelColormap(
        color_dict=table | (colors_in_advance(colors, spare) if spare else dict(colors))
    )


def colors_in_advance(colors: Mapping[int, str], spare: int) -> dict[int, str]:
    """The class colours, and the usual ones of other values up to `spare` after the last class."""
    last = min(max(colors, default=0) + spare, MAX_CLASSES)
    return {value: colors.get(value) or class_color(value) for value in range(1, last + 1)}
