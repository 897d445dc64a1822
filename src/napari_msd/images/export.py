"""Export labels as TIFF with pixel size and class names, PNG or NPY, atomically.

`tiff_flavour` says which kind of TIFF is written. PNG is for single images. All of them hold this
package's own metadata, too (`label_metadata`). `open_sink` writes results that are larger than
memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from napari_msd.core.errors import BadInputError
from napari_msd.images.atomic import write_atomically
from napari_msd.images.label_metadata import METADATA_KEY, LabelMetadata
from napari_msd.images.npy_text import write_npy
from napari_msd.images.tiff_flavour import TiffFlavour, tiff_flavour

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

SUFFIXES = (".tif", ".tiff", ".png", ".npy")
"""File suffixes that `export_labels` supports, in the order to offer them."""


def export_labels(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    class_names: Mapping[int, str] | None = None,
    class_colors: Mapping[int, str] | None = None,
    scale: Sequence[float] | None = None,
    units: Sequence[object] | str | None = None,
    axes: Sequence[str] | None = None,
) -> Path:
    """Write a label image in the format of `path`'s suffix.

    Parameters
    ----------
    path
        Ends in one of `SUFFIXES`; ``.ome.tif`` asks for OME-TIFF.
    labels
        Integer or boolean array, also a lazy one; stored in the smallest type that
        holds its values, unsigned where none is negative.
    class_names, class_colors
        Name and colour (``#rrggbb``) of each value.
    scale, units
        Pixel size per axis, and its unit per axis (or one for all), like
        ``"micrometer"``; anything with a text form will do, so napari's units too.
    axes
        One name per axis, like ``"ZYX"`` or ``("t", "y", "x")``. By default, and for names
        other than T C Z Y X, the usual letters for the number of axes.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ExportError
        If the file cannot be written; no partial file is left, and an existing file is
        unchanged.
    BadInputError
        If the suffix is unknown, or the format cannot hold these labels.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise BadInputError(
            f"Labels cannot be saved as {path.name!r}; end the name in {', '.join(SUFFIXES)}."
        )
    array = _as_labels(labels)
    about = LabelMetadata.normalise(array.ndim, class_names, scale, units, axes, class_colors)
    return write_atomically(path, _writer(path, array, about))


def _writer(path: Path, array: np.ndarray, about: LabelMetadata) -> Callable[[BinaryIO], None]:
    """Choose how to write; raises before any file is touched."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return lambda file: write_npy(file, array, about.to_json())
    if suffix == ".png":
        _require_png(array)
        return lambda file: _write_png(file, array, about)
    if array.dtype.itemsize > 4:
        raise BadInputError("TIFF holds values of 32 bits; save these labels as NPY.")
    flavour = tiff_flavour(path, array.shape, array.dtype, about, highest=float(array.max()))
    return lambda file: _write_tiff(file, array, flavour)


def _as_labels(labels: Any) -> np.ndarray:
    array = np.asarray(labels)
    if array.dtype.kind not in "biu":
        raise BadInputError(f"Labels are whole numbers; these are {array.dtype}.")
    if array.size == 0:
        raise BadInputError("There is nothing to save: the labels are empty.")
    low, high = int(array.min()), int(array.max())
    types = (np.uint8, np.uint16, np.uint32, np.uint64, np.int16, np.int32, np.int64)
    for dtype in types:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return np.ascontiguousarray(array, dtype=dtype)
    raise BadInputError(f"Labels from {low} to {high} cannot be saved.")


# --- PNG ------------------------------------------------------------------------------


def _require_png(array: np.ndarray) -> None:
    if array.ndim != 2:
        raise BadInputError(
            f"PNG holds one image, these labels are a stack of shape {array.shape}; "
            "save them as TIFF."
        )
    if array.dtype not in (np.uint8, np.uint16):
        raise BadInputError("PNG holds values from 0 to 65535; save these labels as TIFF.")


def _write_png(file: BinaryIO, array: np.ndarray, about: LabelMetadata) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text(METADATA_KEY, about.to_json())
    x, y = about.size_in_micrometres("X"), about.size_in_micrometres("Y")
    options: dict[str, Any] = {}
    if x and y:
        dots_per_inch = 25400 / x, 25400 / y
        if min(dots_per_inch) >= 1 and max(dots_per_inch) < 2**25:  # the range of PNG
            options["dpi"] = dots_per_inch
    Image.fromarray(array).save(file, format="PNG", pnginfo=texts, **options)


# --- TIFF -----------------------------------------------------------------------------


def _write_tiff(file: BinaryIO, array: np.ndarray, flavour: TiffFlavour) -> None:
    compression = None if flavour.imagej else "zlib"  # ImageJ's own reader knows no other
    tifffile.imwrite(file, array, compression=compression, **flavour.options)
