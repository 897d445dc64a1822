"""What the axes of an image layer are: as they are said, else guessed.

They are said by the layer's ``axis_labels`` (a person's correction is written there, too), else by
the file that the layer was opened from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from napari_msd.images import label_metadata
from napari_msd.images.told_axes import ToldAxes, told_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER = "Q"
"""The letter of an axis that is neither slices, nor frames, nor channels."""

PART_KEY = "napari_msd_part"
"""In the metadata of a layer that is one channel of an array: where that array came from."""

_LETTERS = {
    "T": ("t", "time", "times", "frame", "frames", "timepoint"),
    "Z": ("z", "slice", "slices", "depth", "section"),
    "C": ("c", "ch", "channel", "channels"),
    OTHER: ("q", "other", "others"),
}
_LETTER_OF = {name: letter for letter, names in _LETTERS.items() for name in names}
_LABELS = {"T": "t", "Z": "z", "C": "c", OTHER: "other"}
_PLANE_NAMES = frozenset({"y", "x", "row", "column", "height", "width"})

_files: WeakKeyDictionary[Any, tuple[str, ToldAxes | None]] = WeakKeyDictionary()
"""By layer: its file, and what that says. A file is looked at once."""


class Origin(NamedTuple):
    """Where an array came from, and which part of it a layer is.

    Parameters
    ----------
    path, reader, sample
        As napari knows them; empty if a script made the layer.
    part
        Axis and index along it, if the layer is one channel of the array.
    """

    path: str
    reader: str
    sample: tuple[str, str]
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class Axes:
    """The axes of a layer, without the colours of an RGB image.

    Parameters
    ----------
    letters
        One per axis: T (frames), Z (slices), C (channels) or `OTHER`, then Y and X.
    said
        Whether the layer or its file says so; else the letters are a guess.
    pixel_size, units
        Per axis; ``None`` if they are not known.
    channels
        Names of the channels that the file tells of; empty if it tells of none.
    """

    letters: str
    said: bool
    pixel_size: tuple[float, ...] | None = None
    units: tuple[str, ...] | None = None
    channels: tuple[str, ...] = ()


def axes_of(layer: Any) -> Axes:
    """The axes of an image layer."""
    n = int(layer.ndim)
    told = _told(layer)
    letters = _of_labels([str(name) for name in layer.axis_labels])
    if not letters and told is not None:
        letters = told.letters_for(tuple(int(length) for length in _shape(layer)))
    said = bool(letters) or n < 3
    letters = letters or _usual(n)
    size, units = _sizes(layer, letters, told)
    return Axes(letters, said, size, units, () if told is None else told.channels)


def name_axes(layers: Sequence[Any], letters: str) -> None:
    """Write the axes to the ``axis_labels`` of layers that have them.

    Two axes may have one letter: napari wants different names.
    """
    labels: list[str] = []
    for letter in letters[:-2]:
        name = _LABELS.get(letter, _LABELS[OTHER])
        labels.append(name if name not in labels else f"{name} {len(labels) + 1}")
    for layer in layers:
        if layer.ndim == len(letters):
            layer.axis_labels = (*labels, "y", "x")


def origin(layer: Any) -> Origin:
    """Where a layer, or the array that it is one channel of, came from."""
    part = layer.metadata.get(PART_KEY)
    if isinstance(part, Origin):
        return part
    source = layer.source
    return Origin(
        str(source.path or ""), str(source.reader_plugin or ""), source.sample or ("", "")
    )


def _shape(layer: Any) -> tuple[int, ...]:
    data = layer.data[0] if layer.multiscale else layer.data
    shape: tuple[int, ...] = tuple(data.shape[: layer.ndim])
    return shape


def _of_labels(labels: list[str]) -> str:
    """Letters from the names of axes; empty if one of them is not known."""
    *leading, y, x = (name.strip().casefold() for name in labels)
    # "other 2" is another one of them
    letters = "".join(_LETTER_OF.get(name.split(" ")[0], "") for name in leading)
    doubles = any(letters.count(letter) > 1 for letter in "TZC")
    if not leading or len(letters) != len(leading) or doubles:
        return ""
    unnamed = (y.lstrip("-").isdigit(), x.lstrip("-").isdigit())
    known = all(name in _PLANE_NAMES or bare for name, bare in zip((y, x), unnamed, strict=True))
    return letters + "YX" if known else ""


def _usual(n: int) -> str:
    unusual = n - 5
    return OTHER * unusual + "TZCYX" if unusual > 0 else label_metadata.axis_letters(None, n)


def _told(layer: Any) -> ToldAxes | None:
    """What the layer's file says."""
    path = origin(layer).path
    if not path or "://" in path:
        return None
    if layer not in _files or _files[layer][0] != path:
        _files[layer] = path, told_axes(path)
    return _files[layer][1]


def _sizes(
    layer: Any, letters: str, told: ToldAxes | None
) -> tuple[tuple[float, ...] | None, tuple[str, ...] | None]:
    """Pixel size and units: the layer's own, else those of its file."""
    scale = tuple(abs(float(size)) for size in np.asarray(layer.scale))
    units = tuple(str(unit) for unit in layer.units)
    if any(size != 1 for size in scale) or any(unit != "pixel" for unit in units):
        return scale, units
    if told is None or not {"Y", "X"} <= set(told.sizes):
        return None, None
    found = [told.sizes.get(letter, (1.0, "pixel")) for letter in letters]
    return tuple(size for size, _ in found), tuple(unit for _, unit in found)
