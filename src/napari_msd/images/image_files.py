"""Read images and labels from files, for the command line (napari has its own readers).

TIFF of every kind through tifffile, NPY through NumPy, the rest (PNG, JPEG, BMP, ...)
through Pillow. Axes, pixel size and class names are read too. The size that a file states is
checked before memory is allocated.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import ImageError
from napari_msd.images.atomic import explain
from napari_msd.images.free_memory import require_room
from napari_msd.images.label_metadata import METADATA_KEY, LabelMetadata
from napari_msd.images.npy_text import read_npy_text
from napari_msd.images.tiff_texts import described, first_element, ome_image

if TYPE_CHECKING:
    import os

_TIFF = (".tif", ".tiff", ".lsm", ".stk")
IMAGE_SUFFIXES = (*_TIFF, ".npy", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
"""Lower-case suffixes of the files in a folder that are read as images."""

_MANY_TILES = 10_000
_IMAGEJ_UNITS = {"micron": "micrometer", "um": "micrometer", "µm": "micrometer"}
_NO_UNITS = ("", "pixel", "pixels", "none")


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
    try:
        if path.is_dir():
            raise ImageError(f"{str(path)!r} is a folder; name the image files in it.")
        if suffix in _TIFF:
            image = _read_tiff(path)
        elif suffix == ".npy":
            image = _read_npy(path)
        else:
            image = _read_other(path)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"There is no image {str(path)!r}.") from error
    except PermissionError as error:
        raise ImageError(f"The image {str(path)!r} may not be read.") from error
    except MemoryError as error:
        raise ImageError(f"The image {str(path)!r} does not fit into memory.") from error
    except Exception as error:  # readers raise all kinds of errors for damaged files
        raise ImageError(f"{str(path)!r} cannot be read as an image: {_reason(error)}.") from error
    _require_numbers(image, path)
    return image


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


def _read_tiff(path: Path) -> ImageFile:
    with tifffile.TiffFile(path) as tif:
        try:
            series = tif.series[0]
        except (KeyError, ValueError, TypeError, AttributeError):
            if not tif.is_ome:
                raise
            tif.is_ome = False  # its OME metadata are invalid; the pixels are usable
            series = tif.series[0]
        _require_tiff(series, path)
        data, letters = series.asarray(), series.axes
        axes = _letters(letters, data.shape)
        about = described(tif, data.ndim)
        if about is not None:
            return _of_metadata(data, about)
        sizes = _pixel_sizes(tif)
    if not sizes:
        return ImageFile(data, axes)
    scale = tuple(sizes.get(letter, (1.0, "pixel"))[0] for letter in axes)
    units = tuple(sizes.get(letter, (1.0, "pixel"))[1] for letter in axes)
    return ImageFile(data, axes, scale, units)


def _require_tiff(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse a TIFF that is too large, or smaller than it states."""
    name, itemsize = repr(str(path)), series.dtype.itemsize
    require_room(name, series.shape, itemsize)
    require_room(name, series.keyframe.chunks, itemsize)  # one tile may exceed the image
    tiles = math.prod(series.keyframe.chunked)
    if tiles > max(_MANY_TILES, len(series.keyframe.dataoffsets)):  # reading would search each
        raise ImageError(f"{name} cannot be read as an image: most of its pixels are missing.")
    start = series.dataoffset  # known if the pixels are contiguous and not compressed
    if start is not None and start + series.nbytes > path.stat().st_size:
        raise ImageError(f"{name} cannot be read as an image: it was cut short.")


def _pixel_sizes(tif: tifffile.TiffFile) -> dict[str, tuple[float, str]]:
    """(size, unit) by axis letter, from OME or ImageJ metadata."""
    if tif.ome_metadata:
        pixels = first_element(ome_image(tif.ome_metadata).get("Pixels"))
        found = {}
        for letter in "XYZ":
            size = _size(pixels.get(f"PhysicalSize{letter}"))
            if size is not None:
                found[letter] = size, _unit(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
        return found
    about = tif.imagej_metadata
    unit = _unit((about or {}).get("unit", ""))
    if about is None or unit == "pixel":
        return {}
    x, y = (_size(value) for value in tif.pages[0].resolution)
    sizes = {"X": x and _size(1 / x), "Y": y and _size(1 / y), "Z": _size(about.get("spacing"))}
    return {letter: (size, unit) for letter, size in sizes.items() if size is not None}


def _size(value: object) -> float | None:
    """`value` as a pixel size, if it is valid."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        size = float(value)
    except OverflowError:
        return None
    return size if math.isfinite(size) and size > 0 else None


def _unit(name: object) -> str:
    text = clean_class_name(str(name).replace("\\u00B5", "µ"))
    return "pixel" if text.lower() in _NO_UNITS else _IMAGEJ_UNITS.get(text.lower(), text)


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
    return ImageFile(data, _letters("Q" * data.ndim, data.shape))


def _letters(letters: str, shape: tuple[int, ...]) -> str:
    """Convert axes to letters of T C Z Y X: samples become C; unnamed axes Z, T or a last C."""
    letters = letters.upper().replace("S", "C")
    if set(letters) <= set("TCZYX") and len(set(letters)) == len(letters):
        return letters
    ndim = len(shape)
    if ndim > 2 and shape[-1] in (3, 4):
        return "TZ"[5 - ndim :] * (ndim < 6) + "YXC"
    return "TCZYX"[5 - ndim :] if ndim in (2, 5) else {3: "ZYX", 4: "TZYX"}.get(ndim, "")


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
