"""What a file says of an image's axes, read from its first few kilobytes.

napari's own readers give the pixels only. No pixel is read here, and nothing in a file is trusted:
what makes no sense counts as not said.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile

from napari_msd.core.class_names import clean_class_name
from napari_msd.images.ome_zarr import said, tells_sizes
from napari_msd.images.tiff_texts import first_element, ome_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TIFF = (".tif", ".tiff", ".lsm")
_MAX_JSON = 1 << 20
_MAX_CHANNELS = 1000
_IMAGEJ = (("T", "frames"), ("Z", "slices"), ("C", "channels"))


@dataclass(frozen=True)
class ToldAxes:
    """Axes of an image as its file tells them.

    Parameters
    ----------
    letters
        T, Z, C and others in the order of the array; Y and X last.
    shape
        Lengths, one per letter; 0 where the file does not say.
    sizes
        Pixel size and unit, by letter, where they are known.
    channels
        Names of the channels; empty if they have none.
    """

    letters: str
    shape: tuple[int, ...]
    sizes: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    channels: tuple[str, ...] = ()

    def letters_for(self, shape: tuple[int, ...]) -> str:
        """The letters of an array of this shape; empty if it is not what the file tells of.

        Readers drop axes of length 1, and some give one layer per channel.
        """
        told = list(zip(self.letters, self.shape, strict=True))
        longer = [(letter, n) for letter, n in told if n != 1 or letter in "YX"]
        for axes in (told, longer, [(a, n) for a, n in longer if a != "C"]):
            agree = len(axes) == len(shape) and all(
                n in (0, length) for (_, n), length in zip(axes, shape, strict=True)
            )
            if agree:
                return "".join(letter for letter, _ in axes)
        return ""


def told_axes(path: str | Path) -> ToldAxes | None:
    """What the file or folder at `path` says of its axes; ``None`` if it says nothing.

    Raises nothing: a file that is gone, damaged or of another kind says nothing.
    """
    where = Path(path)
    try:
        if where.suffix.lower() in _TIFF and where.is_file():
            return _of_tiff(where)
        if where.is_dir():
            return _of_zarr(where)
    except Exception:  # readers raise all kinds of errors for damaged files
        return None
    return None


def _of_tiff(path: Path) -> ToldAxes | None:
    with tifffile.TiffFile(path) as tif:
        if tif.ome_metadata:
            return _of_ome(first_element(ome_image(tif.ome_metadata).get("Pixels")))
        about = tif.imagej_metadata
        if about is None:
            return None
        page = tif.pages.first
        shape = tuple(_whole(about.get(key, 1)) for _, key in _IMAGEJ)
        sizes = {}
        unit = _unit(about.get("unit"))
        if unit:
            x, y = (_size(value) for value in page.resolution)
            spacing = _size(about.get("spacing"))
            known = {"X": x and 1 / x, "Y": y and 1 / y, "Z": spacing}
            sizes = {letter: (size, unit) for letter, size in known.items() if size}
    letters = "".join(letter for letter, _ in _IMAGEJ) + "YX"
    return ToldAxes(letters, (*shape, page.imagelength, page.imagewidth), sizes)


def _of_ome(pixels: Mapping[str, Any]) -> ToldAxes | None:
    letters = str(pixels.get("DimensionOrder", ""))[::-1]
    if sorted(letters) != sorted("TCZYX") or not letters.endswith("YX"):
        return None
    shape = tuple(_whole(pixels.get(f"Size{letter}", 0)) for letter in letters)
    sizes = {}
    for letter in "ZYX":
        size, unit = _size(pixels.get(f"PhysicalSize{letter}")), f"PhysicalSize{letter}Unit"
        if size and (known := _unit(pixels.get(unit, "µm"))):
            sizes[letter] = size, known
    channels = pixels.get("Channel", [])
    listed = channels if isinstance(channels, list) else [channels]
    names = [channel.get("Name") for channel in listed if isinstance(channel, dict)]
    return ToldAxes(letters, shape, sizes, _names(names))


def _of_zarr(folder: Path) -> ToldAxes | None:
    """OME-Zarr 0.4 keeps its metadata in ``.zattrs``, 0.5 in ``zarr.json``."""
    about = said(_json(folder / ".zattrs") or _json(folder / "zarr.json").get("attributes", {}))
    if not about.letters.endswith("YX"):
        return None
    sizes = {
        letter: (size, unit)
        for letter, size, unit in zip(about.letters, about.scale or (), about.units, strict=False)
        if letter in "ZYX"
    }
    known = [size for size, _ in sizes.values()]
    if not tells_sizes("".join(sizes), known, [unit for _, unit in sizes.values()]):
        sizes = {}
    return ToldAxes(about.letters, (0,) * len(about.letters), sizes, _names(about.channels))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > _MAX_JSON:
        return {}
    data = json.loads(path.read_bytes())
    return data if isinstance(data, dict) else {}


def _names(names: Iterable[object]) -> tuple[str, ...]:
    found = [clean_class_name(name) if isinstance(name, str) else "" for name in names]
    return tuple(found[:_MAX_CHANNELS]) if found and all(found) else ()


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _size(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None


def _unit(name: object) -> str:
    """A unit's name; empty for none."""
    text = clean_class_name(str(name or "").replace("\\u00B5", "µ"))
    return "" if text.lower() in ("", "pixel", "pixels", "none") else text
