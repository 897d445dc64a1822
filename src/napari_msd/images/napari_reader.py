"""Opens exported labels in napari as Labels layers, with classes, colours, pixel size and units.

File > Open and drag and drop come here (npe2 reader). napari chooses a reader by the file's name,
before any reader sees the file, and asks the person when several readers match. So the manifest
lists only names that this package suggests ("cells-labels.tif"): with ``*.tif`` napari would ask
about every TIFF.

It returns napari's layer tuples and does not import napari.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.core.errors import ImageError, shown
from napari_msd.core.palette import class_color
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.images.image_files import read_image, reading, zarr_metadata
from napari_msd.images.napari_writer import class_table
from napari_msd.images.our_labels import holds_our_labels
from napari_msd.images.zarr_files import is_zarr, open_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.images.label_metadata import LabelMetadata

Data = np.ndarray | list[Any]
"""An array, or the levels of a pyramid on disk."""

LayerTuple = tuple[Data, dict[str, Any], str]
"""The layer's data and attributes, and its type."""

_IN_MEMORY = 2**29
"""Bytes of the largest zarr that is read into memory; napari cannot change one on disk."""

_OTHER = "#808080"
"""Colour of values that no class can have."""

_LENGTHS = ("meter", "centimeter", "millimeter", "micrometer", "nanometer", "picometer")
_TIMES = ("second", "millisecond", "microsecond", "minute", "hour")
_SHORT = {
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "um": "micrometer",
    "µm": "micrometer",
    "μm": "micrometer",
    "micron": "micrometer",
    "nm": "nanometer",
    "s": "second",
    "ms": "millisecond",
}
_UNITS = {name: name for name in (*_LENGTHS, *_TIMES, "angstrom", "inch", "pixel")} | _SHORT
"""Units that napari knows for sure; it refuses a layer with one that it does not know."""


def reader_of(path: str | list[str]) -> Callable[[str], list[LayerTuple]] | None:
    """Return the reader of this path; napari asks for it.

    Returns
    -------
    function or None
        None, so that another reader gets the file, for all that this package did not write; also
        for several paths, which napari wants as one stack.
    """
    if not isinstance(path, str) or not holds_our_labels(path):
        return None
    return read_layers


def read_layers(path: str) -> list[LayerTuple]:
    """Read labels that this package exported.

    Returns
    -------
    list of tuple
        One Labels layer; of an OME-Zarr larger than 512 MiB, a pyramid on disk. Its ``metadata``
        have the class table that the panel reads, see
        `napari_msd.images.napari_writer.CLASSES_KEY`.

    Raises
    ------
    ImageError
        One sentence: damaged, not whole numbers, or larger than memory.
    """
    data, about, largest = _content(Path(path))
    if about is None:
        raise ImageError(
            f"The names and sizes in {shown(path)} are damaged; open it with napari's own reader."
        )
    attributes: dict[str, Any] = {
        "scale": about.scale,
        "units": tuple(_UNITS.get(unit.lower(), "pixel") for unit in about.units),
        "axis_labels": tuple(about.axes.lower()),
    }
    if about.class_names:
        used = range(1, min(max(largest, *about.class_names), MAX_CLASSES) + 1)
        colors = {value: about.class_colors.get(value) or class_color(value) for value in used}
        attributes["metadata"] = class_table(about.class_names, colors)
        attributes["colormap"] = {None: _OTHER, 0: "#00000000", **colors}
    return [(data, attributes, "labels")]


def _content(path: Path) -> tuple[Data, LabelMetadata | None, int]:
    """The labels, what the file says of them, and their largest value."""
    if is_zarr(path):
        with reading(path):
            levels = open_levels(path)
            if levels[0].nbytes > _IN_MEMORY:
                return levels, zarr_metadata(path), 0
    image = read_image(path)
    data = image.data
    if data.dtype.kind not in "biu":
        raise ImageError(f"The labels in {str(path)!r} must be whole numbers, not {data.dtype}.")
    if data.dtype.kind == "b":
        data = data.view(np.uint8)
    return data, image.about, int(data.max())
