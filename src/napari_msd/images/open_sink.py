"""Opens a file to write a result to, box by box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.core.errors import BadInputError
from napari_msd.core.source import Sink
from napari_msd.images.atomic import require_writable
from napari_msd.images.export import export_labels
from napari_msd.images.flat_sinks import npy_sink, tiff_sink
from napari_msd.images.zarr_sink import OmeZarrSink

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from napari_msd.core.axes import AxisOrder
    from napari_msd.core.box import Box
    from napari_msd.images.result import Result

FORMATS = {"tiff": ".tif", "png": ".png", "npy": ".npy", "ome-zarr": ".ome.zarr"}
"""Suffix of each format that results can be written in."""


def open_sink(path: str | os.PathLike[str], result: Result) -> Sink:
    """Open a file for a result, in the format of its suffix.

    Parameters
    ----------
    path
        Ends in ``.tif``, ``.tiff``, ``.png``, ``.npy`` or ``.zarr``. The file or folder is
        there under this name after `Sink.close`.
    result
        What is written. OME-Zarr goes on with an unfinished one, see `OmeZarrSink`.

    Raises
    ------
    ExportError
        If it cannot be written.
    BadInputError
        If the suffix is unknown, or the format cannot hold the result.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".zarr":
        return OmeZarrSink(path, result)
    if suffix in (".tif", ".tiff"):
        return tiff_sink(path, result)
    if suffix == ".npy":
        return npy_sink(path, result)
    if suffix == ".png":
        return _PngSink(path, result)
    raise BadInputError(
        f"A result cannot be saved as {path.name!r}; end the name in {', '.join(FORMATS.values())}."
    )


class ArraySink:
    """An array in memory, see `napari_msd.core.source.Sink`.

    Parameters
    ----------
    order
        Axes of the array, in any order.
    dtype
        Its type.

    Attributes
    ----------
    array
        The values; 0 where nothing was written.
    """

    def __init__(self, order: AxisOrder, dtype: npt.DTypeLike) -> None:
        self._order = order
        self.array: npt.NDArray[Any] = np.zeros(order.shape, dtype)

    def write(self, box: Box, values: npt.NDArray[np.generic]) -> None:
        """Write the values of a box."""
        self.array[self._order.slices(box)] = self._order.from_space(values)

    def close(self) -> None:
        """Nothing is open."""

    def discard(self) -> None:
        """Nothing is left behind."""


class _PngSink(ArraySink):
    """One image, compressed as a whole when it is complete."""

    def __init__(self, path: Path, result: Result) -> None:
        if result.space.ndim != 2 or result.what == "probabilities":
            raise BadInputError(
                "PNG holds one plane of labels or uncertainty; choose tiff or ome-zarr."
            )
        require_writable(path)
        super().__init__(result.order(), result.dtype)
        self._path, self._about = path, result.about(result.space.axes)

    def close(self) -> None:
        """Write the file."""
        about = self._about
        export_labels(
            self._path,
            self.array,
            class_names=about.class_names,
            class_colors=about.class_colors,
            scale=about.scale,
            units=about.units,
            axes=about.axes,
        )
