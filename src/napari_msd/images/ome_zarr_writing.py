"""The JSON of an OME-Zarr that is written; `ome_zarr` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_msd.images.ome_zarr import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = "0.5"
"""The version that is written, on zarr format 3."""

_UNITS = {"µm": "micrometer", "um": "micrometer", "micron": "micrometer", "nm": "nanometer"}
_UNITS |= {"mm": "millimeter", "m": "meter", "s": "second", "ms": "millisecond"}
_KNOWN_UNITS = {*_UNITS.values(), "centimeter", "angstrom", "picometer", "inch", "minute", "hour"}


def attributes(
    name: str,
    axes: str,
    scale: Sequence[float] | None,
    units: Sequence[str] | None,
    levels: Sequence[Mapping[str, int]],
    *,
    channels: Sequence[tuple[str, str]] = (),
    classes: Mapping[int, tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Attributes of a group whose arrays "0", "1", ... are the levels of an image.

    Parameters
    ----------
    name
        Of the image.
    axes, scale, units
        Of level 0; as in `Multiscale`.
    levels
        For each level: by which factor each axis is smaller than at level 0 (1 if not named).
    channels
        Name and colour of each channel.
    classes
        As in `Multiscale`.
    """
    sizes = scale or (1.0,) * len(axes)
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [
                        float(size * smaller.get(letter, 1))
                        for letter, size in zip(axes, sizes, strict=True)
                    ],
                }
            ],
        }
        for number, smaller in enumerate(levels)
    ]
    names = [_axis(k, letter, units) for k, letter in enumerate(axes)]
    content: dict[str, Any] = {
        "version": VERSION,
        "multiscales": [{"name": name, "axes": names, "datasets": datasets}],
    }
    if channels:
        content["omero"] = {
            "channels": [
                {
                    "label": label,
                    "color": color.lstrip("#").upper(),
                    "active": True,
                    "window": {"min": 0, "max": 1, "start": 0, "end": 1},
                }
                for label, color in channels
            ]
        }
    if classes is not None:
        content["image-label"] = {
            "colors": [
                {"label-value": value, "rgba": [*bytes.fromhex(color.lstrip("#")), 255]}
                for value, (_, color) in sorted(classes.items())
                if color
            ],
            "properties": [
                {"label-value": value, "name": label}
                for value, (label, _) in sorted(classes.items())
            ],
        }
    return {"ome": content}


def _axis(number: int, letter: str, units: Sequence[str] | None) -> dict[str, str]:
    found = {"name": letter.lower()}
    if letter in TYPES:
        found["type"] = TYPES[letter]
    unit = "" if units is None else _UNITS.get(units[number], units[number])
    if unit in _KNOWN_UNITS and letter != "C":
        found["unit"] = unit
    return found
