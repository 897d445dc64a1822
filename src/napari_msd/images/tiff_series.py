"""What a TIFF says of one of its images: axes, pixel size, names of channels, completeness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import tifffile

from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import ImageError
from napari_msd.images.tiff_texts import first_element, ome_image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MANY_TILES = 10_000
_IMAGEJ_UNITS = {"micron": "micrometer", "um": "micrometer", "µm": "micrometer"}
_NO_UNITS = ("", "pixel", "pixels", "none")
_KNOWN = "TCZYX"


class PixelSize(NamedTuple):
    """Size of a pixel along an axis, and the unit it is in."""

    size: float
    unit: str


def series_of(tif: tifffile.TiffFile, number: int = 0) -> tifffile.TiffPageSeries:
    """One of the images of a TIFF; a file with invalid OME metadata is read without them.

    Raises
    ------
    IndexError
        If there are fewer images.
    """
    try:
        return tif.series[number]
    except (KeyError, ValueError, TypeError, AttributeError):
        if not tif.is_ome:
            raise
        tif.is_ome = False  # its OME metadata are invalid; the pixels are usable
        return tif.series[number]


def require_complete(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse a TIFF that is smaller than it states.

    Raises
    ------
    ImageError
        One sentence.
    """
    name = repr(str(path))
    tiles = math.prod(series.keyframe.chunked)
    if tiles > max(_MANY_TILES, len(series.keyframe.dataoffsets)):  # reading would search each
        raise ImageError(f"{name} cannot be read as an image: most of its pixels are missing.")
    start = series.dataoffset  # known if the pixels are contiguous and not compressed
    if start is not None and start + series.nbytes > path.stat().st_size:
        raise ImageError(f"{name} cannot be read as an image: it was cut short.")


def pixel_sizes(tif: tifffile.TiffFile, number: int = 0) -> dict[str, PixelSize]:
    """Size and unit by axis letter, from OME or ImageJ metadata; empty if unknown."""
    if tif.ome_metadata:
        pixels = first_element(ome_image(tif.ome_metadata, number).get("Pixels"))
        found = {}
        for letter in "XYZ":
            size = _size(pixels.get(f"PhysicalSize{letter}"))
            if size is not None:
                unit = _unit(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
                found[letter] = PixelSize(size, unit)
        return found
    about = tif.imagej_metadata
    unit = _unit((about or {}).get("unit", ""))
    if about is None or unit == "pixel":
        return {}
    x, y = (_size(value) for value in tif.pages[0].resolution)
    sizes = {"X": x and _size(1 / x), "Y": y and _size(1 / y), "Z": _size(about.get("spacing"))}
    return {letter: PixelSize(size, unit) for letter, size in sizes.items() if size is not None}


def channel_names(tif: tifffile.TiffFile, count: int, number: int = 0) -> tuple[str, ...] | None:
    """Names of an image's `count` channels, from OME or ImageJ metadata; ``None`` if unknown.

    ImageJ names planes: they are channels where there are as many.
    """
    if tif.ome_metadata:
        pixels = first_element(ome_image(tif.ome_metadata, number).get("Pixels"))
        listed = pixels.get("Channel")
        channels = listed if isinstance(listed, list) else [listed]
        return clean_names(
            (channel.get("Name") if isinstance(channel, dict) else None for channel in channels),
            count,
        )
    labels = (tif.imagej_metadata or {}).get("Labels")
    return clean_names(labels, count) if isinstance(labels, list) else None


def clean_names(names: Iterable[object], count: int) -> tuple[str, ...] | None:
    """Names of `count` channels as this package writes them; ``None`` if one has no name."""
    found = tuple(clean_class_name(str(name)) if name is not None else "" for name in names)
    return found if len(found) == count and all(found) else None


def axis_letters(letters: str, shape: tuple[int, ...]) -> str:
    """Convert axes to letters of T C Z Y X: samples become C.

    Letters that are none of these stand for axes nobody named: a last one of 3 or 4 is C, the
    others are slices and frames.

    Returns
    -------
    str
        One letter for each axis; shorter than `shape` where there are too many axes.
    """
    letters = letters.upper().replace("S", "C")
    said = [letter for letter in letters if letter in _KNOWN]
    if len(said) == len(letters) == len(set(letters)):
        return letters
    if len(set(said)) == len(said) and {"Y", "X"} <= set(said):
        return _completed(letters, shape)
    ndim = len(shape)
    if ndim > 2 and shape[-1] in (3, 4):
        return "TZ"[5 - ndim :] * (ndim < 6) + "YXC"
    return "TCZYX"[5 - ndim :] if ndim in (2, 5) else {3: "ZYX", 4: "TZYX"}.get(ndim, "")


def _completed(letters: str, shape: tuple[int, ...]) -> str:
    """`letters` with the unnamed axes named: Y and X are said."""
    found = [letter if letter in _KNOWN else "" for letter in letters]
    if not found[-1] and "C" not in found and shape[-1] in (3, 4):
        found[-1] = "C"
    for axis in reversed(range(len(found))):
        if not found[axis]:
            free = [letter for letter in "ZTC" if letter not in found]
            if not free:
                return ""
            found[axis] = free[0]
    return "".join(found)


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
