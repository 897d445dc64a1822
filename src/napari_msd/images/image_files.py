"""Read images and labels from files, for the command line (napari has its own readers).

TIFF of every kind through tifffile, NPY through NumPy, the rest (PNG, JPEG, BMP, ...)
through Pillow. Axes, pixel size and class names are read too. The size that a file states is
checked before memory is allocated.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

from napari_msd.core.errors import ImageError
from napari_msd.images.atomic import explain
from napari_msd.images.free_memory import require_room
from napari_msd.images.label_metadata import METADATA_KEY, LabelMetadata
from napari_msd.images.npy_text import read_npy_text
from napari_msd.images.tiff_series import (
    PixelSize,
    axis_letters,
    pixel_sizes,
    require_complete,
    series_of,
)
from napari_msd.images.tiff_texts import described
from napari_msd.images.zarr_files import is_zarr, open_zarr

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from napari_msd.images.ome_zarr import Multiscale

TIFF_SUFFIXES = (".tif", ".tiff", ".lsm", ".stk")
IMAGE_SUFFIXES = (
    *TIFF_SUFFIXES,
    ".npy",
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".webp",
    ".pgm",
    ".ppm",
)
"""Lower-case suffixes of the files in a folder that are read as images."""


@dataclass(frozen=True)
class ImageFile:
    """An image or label image, with its file's metadata.

    Parameters
    ----------
    data
        Integer, boolean or floating-point array.
    axes
        One letter of T C Z Y X per axis; colour channels are a last ``C``.
    scale, units
        Pixel size and unit per axis; ``None`` if the file does not state them.
    class_names
        Names by value, for labels that this package exported; else empty.
    about
        All that the file says of labels that this package exported; else ``None``.
    """

    data: np.ndarray
    axes: str
    scale: tuple[float, ...] | None = None
    units: tuple[str, ...] | None = None
    class_names: dict[int, str] | None = None
    about: LabelMetadata | None = None


def read_image(path: str | os.PathLike[str]) -> ImageFile:
    """Read an image file.

    Raises
    ------
    ImageError
        One sentence: missing, unreadable, not an image, empty, not of numbers, or larger than
        `napari_msd.images.free_memory` allows.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    with reading(path):
        if is_zarr(path):
            image = _read_zarr(path)
        elif path.is_dir():
            raise ImageError(f"{str(path)!r} is a folder; name the image files in it.")
        elif suffix in TIFF_SUFFIXES:
            image = _read_tiff(path)
        elif suffix == ".npy":
            image = _read_npy(path)
        else:
            image = _read_other(path)
    _require_numbers(image, path)
    return image


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong while an image is read, in one sentence.

    Raises
    ------
    ImageError
        Whatever a reader raised.
    """
    try:
        yield
    except ImageError as error:
        sentence = str(error)
        if sentence.endswith("."):
            raise
        raise ImageError(f"{str(path)!r} cannot be read as an image: {sentence}.") from error
    except FileNotFoundError as error:
        raise ImageError(f"There is no image {str(path)!r}.") from error
    except PermissionError as error:
        raise ImageError(f"The image {str(path)!r} may not be read.") from error
    except MemoryError as error:
        raise ImageError(f"The image {str(path)!r} does not fit into memory.") from error
    except Exception as error:  # readers raise all kinds of errors for damaged files
        raise ImageError(f"{str(path)!r} cannot be read as an image: {_reason(error)}.") from error


def read_labels(path: str | os.PathLike[str]) -> ImageFile:
    """Read a label image: whole numbers from 0 to 255, 0 meaning "not labelled".

    Raises
    ------
    ImageError
        As for `read_image`, and for any other values.
    """
    image = read_image(path)
    data = image.data
    low, high = data.min(), data.max()
    if not np.isfinite([low, high]).all() or not _are_whole(data):
        raise ImageError(f"The labels in {str(path)!r} must be whole numbers, not {data.dtype}.")
    if low < 0 or high > 255:
        raise ImageError(
            f"The labels in {str(path)!r} must be 0 (not labelled) to 255, not {low:g} to {high:g}."
        )
    return replace(image, data=data.astype(np.uint8, copy=False))


def _are_whole(data: np.ndarray) -> bool:
    return data.dtype.kind in "biu" or all(bool(np.all(part == np.floor(part))) for part in data)


def _read_npy(path: Path) -> ImageFile:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # raises if the file is truncated
    require_room(repr(str(path)), mapped.shape, mapped.dtype.itemsize)
    text = read_npy_text(path)
    described = LabelMetadata.from_json(text, mapped.ndim) if text else None
    data = np.array(mapped)
    return _of_array(data) if described is None else _of_metadata(data, described)


def _read_zarr(path: Path) -> ImageFile:
    array, described = open_zarr(path)
    require_room(repr(str(path)), array.shape, array.dtype.itemsize)
    data = np.asarray(array[...])
    about = _labels_of(described)
    if about is None:
        return ImageFile(data, described.axes, described.scale, described.units)
    return _of_metadata(data, about)


def zarr_metadata(path: Path) -> LabelMetadata | None:
    """What an OME-Zarr says of its labels; ``None`` if it holds none.

    Raises
    ------
    ImageError
        Half a sentence.
    """
    return _labels_of(open_zarr(path)[1])


def _labels_of(described: Multiscale) -> LabelMetadata | None:
    if described.classes is None:
        return None
    return LabelMetadata.normalise(
        len(described.axes),
        {value: name for value, (name, _) in described.classes.items() if name},
        described.scale,
        described.units,
        described.axes,
        {value: color for value, (_, color) in described.classes.items() if color},
    )


def _read_tiff(path: Path) -> ImageFile:
    with tifffile.TiffFile(path) as tif:
        series = series_of(tif)
        name, itemsize = repr(str(path)), series.dtype.itemsize
        require_room(name, series.shape, itemsize)
        require_room(name, series.keyframe.chunks, itemsize)  # one tile may exceed the image
        require_complete(series, path)
        data, letters = series.asarray(), series.axes
        axes = axis_letters(letters, data.shape)
        about = described(tif, data.ndim)
        if about is not None:
            return _of_metadata(data, about)
        sizes = pixel_sizes(tif)
    if not sizes:
        return ImageFile(data, axes)
    known = [sizes.get(letter, PixelSize(1.0, "pixel")) for letter in axes]
    return ImageFile(data, axes, tuple(k.size for k in known), tuple(k.unit for k in known))


def _read_other(path: Path) -> ImageFile:
    with warnings.catch_warnings():
        # Pillow warns at half the size that it refuses; only free memory matters here
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path)
        except Image.DecompressionBombError as error:
            raise ImageError(
                f"{str(path)!r} has more pixels than is supported for this format; save it as TIFF."
            ) from error
    with picture:
        require_room(repr(str(path)), (picture.height, picture.width), 8)
        text = getattr(picture, "text", {}).get(METADATA_KEY)
        mode = picture.mode
        if mode in ("LA", "La"):
            data = np.asarray(picture.convert("L"))
        elif mode in ("1", "L", "I", "F") or mode.startswith("I;16"):
            data = np.asarray(picture)
        else:  # palettes, alpha, CMYK, ...
            data = np.asarray(picture.convert("RGB"))
    described = LabelMetadata.from_json(text, data.ndim) if text else None
    return _of_array(data) if described is None else _of_metadata(data, described)


def _of_metadata(data: np.ndarray, about: LabelMetadata) -> ImageFile:
    known = any(unit != "pixel" for unit in about.units)
    scale, units = (about.scale, about.units) if known else (None, None)
    return ImageFile(data, about.axes, scale, units, about.class_names, about)


def _of_array(data: np.ndarray) -> ImageFile:
    return ImageFile(data, axis_letters("Q" * data.ndim, data.shape))


def _require_numbers(image: ImageFile, path: Path) -> None:
    data = image.data
    if data.dtype.kind not in "biuf":
        raise ImageError(f"{str(path)!r} holds {data.dtype} values; give an image of numbers.")
    if data.size == 0:
        raise ImageError(f"{str(path)!r} is empty.")
    if data.ndim < 2 or len(image.axes) != data.ndim:
        raise ImageError(
            f"{str(path)!r} has {data.ndim} axes; give an image of 2 (Y, X) to 5 (T, C, Z, Y, X)."
        )


def _reason(error: Exception) -> str:
    """Shorten a reader's error message to its first line, as half a sentence."""
    if isinstance(error, OSError) and error.errno:
        return explain(error)
    lines = str(error).strip().splitlines()
    text = lines[0].strip().rstrip(".") if lines else ""
    return text[:120] or type(error).__name__
