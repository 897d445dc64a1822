"""What the JSON of an OME-Zarr says: axes, pixel size, channels, classes of labels.

Versions 0.1 to 0.5. The JSON is small and its content untrusted: msgspec checks the form of what is
used, and nothing else is looked at. `ome_zarr_writing` writes it.
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import ImageError
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.images.tiff_series import axis_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Part = TypeVar("Part")

TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
"""What OME-Zarr calls the kinds of axes."""

_LETTERS = {"time": "T", "channel": "C"}
_NO_AXES = "TCZYX"
"""The axes of versions 0.1 and 0.2, which do not name them."""


class _Axis(msgspec.Struct):
    name: str
    type: str | None = None
    unit: str | None = None


class _Transformation(msgspec.Struct):
    type: str
    scale: list[float] | str | None = None


class _Dataset(msgspec.Struct):
    path: str
    coordinateTransformations: list[_Transformation] = []  # noqa: N815 - as the format spells it


class _Multiscale(msgspec.Struct):
    datasets: list[_Dataset]
    axes: list[_Axis | str] | None = None
    coordinateTransformations: list[_Transformation] = []  # noqa: N815


class _Channel(msgspec.Struct):
    label: str | None = None


class _Omero(msgspec.Struct):
    channels: list[_Channel] = []


class _Color(msgspec.Struct, rename={"value": "label-value"}):
    value: float
    rgba: list[int] | None = None


class _Property(msgspec.Struct, rename={"value": "label-value"}):
    value: float
    name: str | None = None


class _ImageLabel(msgspec.Struct):
    colors: list[_Color] = []
    properties: list[_Property] = []


class Multiscale(msgspec.Struct, frozen=True):
    """One image of an OME-Zarr, at full resolution.

    Parameters
    ----------
    path
        Of the array, inside the group.
    axes
        One letter for each axis of the array.
    scale, units
        Of each axis; ``None`` if no length is known.
    channels
        Names of the channels, as many as the file names.
    classes
        Name and colour (``#rrggbb``; empty if unknown) by class value, if it holds labels.
    """

    path: str
    axes: str
    scale: tuple[float, ...] | None
    units: tuple[str, ...] | None
    channels: tuple[str | None, ...]
    classes: dict[int, tuple[str, str]] | None


class Said(NamedTuple):
    """What the metadata say without a look at any array.

    Parameters
    ----------
    letters
        T, C, Z, Y, X or, for others, Q: one for each axis.
    scale
        Of each axis; ``None`` if it is not valid.
    units
        Of each axis; ``"pixel"`` if unknown.
    channels
        Names, as many as the file names.
    """

    letters: str
    scale: tuple[float, ...] | None
    units: tuple[str, ...]
    channels: tuple[str | None, ...]


def said(attributes: Mapping[str, Any]) -> Said:
    """Read what a group's attributes say of its axes.

    Raises
    ------
    ImageError
        Half a sentence.
    """
    content, image, first = _parts(attributes)
    letters = _NO_AXES if image.axes is None else "".join(map(_letter, image.axes))
    return _said(content, image, first, letters)


def _said(content: Mapping[str, Any], image: _Multiscale, first: _Dataset, letters: str) -> Said:
    n = len(letters)
    return Said(
        letters,
        _scale(first.coordinateTransformations, image.coordinateTransformations, n),
        _units(image.axes, n),
        tuple(channel.label for channel in _part(content, "omero", _Omero).channels),
    )


def described(
    attributes: Mapping[str, Any], shape_of: Callable[[str], tuple[int, ...] | None]
) -> Multiscale:
    """Read the attributes of a group.

    Parameters
    ----------
    attributes
        Of the group; untrusted.
    shape_of
        Gives the shape of an array of the group; ``None`` if there is no such array.

    Raises
    ------
    ImageError
        Half a sentence.
    """
    content, image, first = _parts(attributes)
    inside = PurePosixPath(first.path)
    if inside.is_absolute() or ".." in inside.parts or "\\" in first.path or ":" in first.path:
        raise ImageError("its OME-Zarr metadata name an array outside of the image")
    shape = shape_of(first.path)
    if shape is None:
        raise ImageError(f"its array {first.path[:40]!r} is missing")
    axes = _letters(image.axes, shape)
    _, scale, units, channels = _said(content, image, first, axes)
    known = scale is not None and tells_sizes(axes, scale, units)
    return Multiscale(
        first.path,
        axes,
        scale if known else None,
        units if known else None,
        channels,
        _classes(content) if "image-label" in content else None,
    )


def _parts(attributes: Mapping[str, Any]) -> tuple[Mapping[str, Any], _Multiscale, _Dataset]:
    """What is said of the image, the first image, and its finest level."""
    content = attributes.get("ome", attributes)  # 0.5 has a key of its own
    if not isinstance(content, dict):
        content = dict(attributes)
    try:
        image = msgspec.convert(content["multiscales"], list[_Multiscale])[0]
        return content, image, image.datasets[0]
    except (msgspec.ValidationError, KeyError, IndexError, TypeError) as error:
        raise ImageError("its OME-Zarr metadata are damaged") from error


def tells_sizes(axes: str, scale: Sequence[float], units: Sequence[str]) -> bool:
    """Whether sizes say anything of an image: lengths in a unit, or that Z differs from Y and X.

    Units are optional in the format. Without one, all sizes of 1 are no measurement.
    """
    spatial = {size for letter, size in zip(axes, scale, strict=True) if letter in "ZYX"}
    return len(spatial) > 1 or any(unit != "pixel" for unit in units)


def _letters(axes: list[_Axis | str] | None, shape: tuple[int, ...]) -> str:
    if axes is None:
        return _NO_AXES if len(shape) == len(_NO_AXES) else axis_letters("Q" * len(shape), shape)
    if len(axes) != len(shape):
        raise ImageError("its OME-Zarr metadata name other axes than its array has")
    return axis_letters("".join(map(_letter, axes)), shape)


def _letter(axis: _Axis | str) -> str:
    name = (axis if isinstance(axis, str) else axis.name).upper()
    if name in TYPES:
        return name
    return _LETTERS.get("" if isinstance(axis, str) else axis.type or "", "Q")


def _scale(
    own: list[_Transformation], common: list[_Transformation], ndim: int
) -> tuple[float, ...] | None:
    """Product of the scales of a level and of the image; ``None`` if they are not valid."""
    found = (1.0,) * ndim
    for step in (*own, *common):
        if step.type != "scale":
            continue
        if not isinstance(step.scale, list) or len(step.scale) != ndim:
            return None
        found = tuple(a * b for a, b in zip(found, step.scale, strict=True))
    return found if all(math.isfinite(size) and size > 0 for size in found) else None


def _units(axes: list[_Axis | str] | None, ndim: int) -> tuple[str, ...]:
    units = [None if isinstance(axis, str) else axis.unit for axis in axes or [""] * ndim]
    return tuple(clean_class_name(unit or "") or "pixel" for unit in units)


def _part(content: Mapping[str, Any], key: str, kind: type[Part]) -> Part:
    """What an optional key holds; what is of another form counts as missing."""
    try:
        return msgspec.convert(content.get(key, {}), kind)
    except msgspec.ValidationError:
        return kind()


def _classes(content: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    about = _part(content, "image-label", _ImageLabel)
    colors = {
        color.value: "#" + bytes(color.rgba[:3]).hex()
        for color in about.colors
        if color.rgba and len(color.rgba) >= 3 and all(0 <= part <= 255 for part in color.rgba)
    }
    names = {entry.value: clean_class_name(entry.name or "") for entry in about.properties}
    return {
        value: (names.get(value, ""), colors.get(value, ""))
        for value in range(1, MAX_CLASSES + 1)
        if value in names or value in colors
    }
