"""Which kind of TIFF holds a result, and what it says there.

It is an ImageJ hyperstack if ImageJ's format can hold it. Fiji opens it natively with
axes, pixel size, unit and a display range in which classes are visible, and other programs
(napari, Bio-Formats, tifffile, QuPath) read it too; Fiji's own reader ignores the axes and pixel
sizes of an OME-TIFF. What ImageJ's format cannot hold (more than 4 GB, values other than of 8 or 16
bits or float32, axes out of TZCYX order), and every name that ends in ``.ome.tif``, becomes an
OME-TIFF.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_msd.images.label_metadata import METADATA_KEY, LabelMetadata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_IMAGEJ_MAX_BYTES = 2**32 - 2**25
_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


class TiffFlavour(NamedTuple):
    """How `tifffile.imwrite` writes a result.

    Parameters
    ----------
    imagej
        Whether it is an ImageJ hyperstack; else an OME-TIFF.
    options
        Its arguments.
    """

    imagej: bool
    options: dict[str, Any]


def tiff_flavour(
    path: Path,
    shape: Sequence[int],
    dtype: np.dtype[np.generic],
    about: LabelMetadata,
    *,
    highest: float,
    channels: Sequence[str] = (),
    ours: bool = True,
) -> TiffFlavour:
    """Choose the flavour.

    Parameters
    ----------
    path
        The target.
    shape, dtype, about
        Of the result.
    highest
        Its largest value, for the range that ImageJ displays.
    channels
        Names of its channels, if it has an axis C.
    ours
        Whether it says that it holds labels of this package.
    """
    if path.name.lower().endswith((".ome.tif", ".ome.tiff")) or not _fits_imagej(
        shape, dtype, about
    ):
        return TiffFlavour(False, _ome(shape, dtype, about, channels, ours))
    return TiffFlavour(True, _imagej(shape, about, highest, channels, ours))


def _fits_imagej(shape: Sequence[int], dtype: np.dtype[np.generic], about: LabelMetadata) -> bool:
    in_order = "".join(letter for letter in _IMAGEJ_AXES if letter in about.axes) == about.axes
    small = dtype in _IMAGEJ_TYPES and math.prod(shape) * dtype.itemsize < _IMAGEJ_MAX_BYTES
    return small and in_order


def _imagej(
    shape: Sequence[int], about: LabelMetadata, highest: float, channels: Sequence[str], ours: bool
) -> dict[str, Any]:
    sizes, unit = _common_unit(about)
    if not all(2**-31 < size < 2**31 for size in sizes.values()):  # the range of TIFF's fractions
        sizes, unit = dict.fromkeys(sizes, 1.0), "pixel"
    lines = [f"class {value}: {name}" for value, name in sorted(about.class_names.items())]
    if ours:
        lines.append(f"{METADATA_KEY}={about.to_json()}")
    metadata: dict[str, Any] = {
        "axes": about.axes,
        "unit": unit,
        "min": 0.0,
        "max": max(highest, 1.0),
        "Info": "\n".join(lines),
    }
    if channels:
        planes = math.prod(shape[:-2]) // len(channels)  # C is the axis before Y
        metadata["Labels"] = [*channels] * planes
    if "Z" in sizes:
        metadata["spacing"] = sizes["Z"]
    if "T" in about.axes:
        metadata["finterval"] = about.scale[about.axes.index("T")]
    return {
        "imagej": True,
        "photometric": "minisblack",  # not colours, even if 3 pixels wide
        "resolution": (1 / sizes.get("X", 1.0), 1 / sizes.get("Y", 1.0)),
        "resolutionunit": "NONE",
        "metadata": metadata,
    }


def _ome(
    shape: Sequence[int],
    dtype: np.dtype[np.generic],
    about: LabelMetadata,
    channels: Sequence[str],
    ours: bool,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "axes": about.axes,
        "MapAnnotation": {
            "Namespace": "napari-msd/classes",
            **{f"class {value}": name for value, name in sorted(about.class_names.items())},
        },
    }
    if ours:
        metadata["Description"] = f"{METADATA_KEY}={about.to_json()}"
    if channels:
        metadata["Channel"] = {"Name": list(channels)}
    sizes, unit = _common_unit(about)
    for letter, size in sizes.items():
        metadata[f"PhysicalSize{letter}"] = size
        metadata[f"PhysicalSize{letter}Unit"] = "µm" if unit == "micron" else "pixel"
    return {
        "ome": True,
        "photometric": "minisblack",
        "bigtiff": math.prod(shape) * dtype.itemsize >= _IMAGEJ_MAX_BYTES,
        "metadata": metadata,
    }


def _common_unit(about: LabelMetadata) -> tuple[dict[str, float], str]:
    """Sizes along X, Y and Z in one unit: ``"micron"`` (ImageJ's own word) or ``"pixel"``."""
    letters = [letter for letter in "XYZ" if letter in about.axes]
    known = {letter: about.size_in_micrometres(letter) for letter in letters}
    sizes = {letter: size for letter, size in known.items() if size is not None}
    if len(sizes) == len(letters):
        return sizes, "micron"
    return {k: about.scale[about.axes.index(k)] for k in letters}, "pixel"
