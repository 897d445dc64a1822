"""Metadata of exported labels: names and colours of classes, pixel size, units, axes.

They are one small JSON text, the same in every format that can store text. So this package reads
its own files back in full, whatever the format's own fields can hold.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import BadInputError, shown
from napari_msd.core.settings import MAX_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

METADATA_KEY = "napari-msd labels"
"""Marks this package's JSON among a file's texts."""

MAX_TEXT = 1 << 20
"""Longest JSON text that is read: 255 names of 100 characters, escaped, are much shorter."""

_MICROMETRES = {
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "cm": 1e4,
    "centimeter": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "å": 1e-4,
    "angstrom": 1e-4,
    "pm": 1e-6,
    "picometer": 1e-6,
    "inch": 25400.0,
}
_COLOR = re.compile("#[0-9a-f]{6}")
_USUAL_AXES = {1: "X", 2: "YX", 3: "ZYX", 4: "TZYX", 5: "TZCYX"}


@dataclass(frozen=True)
class LabelMetadata:
    """Description of a label image.

    Parameters
    ----------
    axes
        One letter per axis, like ``"ZYX"``.
    scale, units
        Per axis: the pixel's size, and the unit it is in (``"pixel"``: not known).
    class_names, class_colors
        Name and colour (``#rrggbb``) of each class value.
    """

    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    class_names: dict[int, str] = field(default_factory=dict)
    class_colors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def normalise(
        cls,
        ndim: int,
        class_names: Mapping[int, str] | None = None,
        scale: Sequence[float] | None = None,
        units: Sequence[object] | str | None = None,
        axes: Sequence[str] | None = None,
        class_colors: Mapping[int, str] | None = None,
    ) -> LabelMetadata:
        """Check the given values and fill in the missing ones.

        Names are cleaned (`clean_class_name`); names and colours of values outside
        1..255 are left out, and so are colours of another form than ``#rrggbb``.

        Raises
        ------
        BadInputError
            If scale, units or axes do not fit `ndim` axes, or a pixel size is not positive.
        """
        sizes = tuple(float(size) for size in scale) if scale is not None else (1.0,) * ndim
        if isinstance(units, str):
            units = (units,) * ndim
        names = tuple(_unit(u) for u in units) if units is not None else ("pixel",) * ndim
        if len(sizes) != ndim or len(names) != ndim:
            raise BadInputError(
                f"Labels of {ndim} axes need {ndim} pixel sizes and units, "
                f"not {len(sizes)} and {len(names)}."
            )
        if not all(math.isfinite(size) and size > 0 for size in sizes):
            raise BadInputError(f"Pixel sizes must be above 0, not {shown(sizes)}.")
        names_by_value = {
            int(value): clean_class_name(str(name)) for value, name in (class_names or {}).items()
        }
        classes = {v: name for v, name in names_by_value.items() if 1 <= v <= MAX_CLASSES}
        colors = {int(v): str(color).lower() for v, color in (class_colors or {}).items()}
        colors = {
            v: color
            for v, color in colors.items()
            if 1 <= v <= MAX_CLASSES and _COLOR.fullmatch(color)
        }
        return cls(axis_letters(axes, ndim), sizes, names, classes, colors)

    def size_in_micrometres(self, letter: str) -> float | None:
        """Pixel size along an axis; ``None`` if unknown."""
        if letter not in self.axes:
            return None
        k = self.axes.index(letter)
        unit = _MICROMETRES.get(self.units[k].lower())
        return None if unit is None else self.scale[k] * unit

    def to_json(self) -> str:
        """ASCII text that `from_json` reads back."""
        content = {
            "axes": self.axes,
            "scale": self.scale,
            "units": self.units,
            "class_names": self.class_names,
            "class_colors": self.class_colors,
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str, ndim: int) -> LabelMetadata | None:
        """Read `to_json`'s text; ``None`` if it is damaged or of other labels.

        The text is untrusted: it may come from a file of unknown origin. Files of earlier
        versions have no colours.
        """
        if len(text) > MAX_TEXT:
            return None
        try:
            data: dict[str, Any] = json.loads(text)
            names = {int(value): name for value, name in data["class_names"].items()}
            if not all(isinstance(name, str) for name in names.values()):
                return None
            colors = {int(value): c for value, c in data.get("class_colors", {}).items()}
            return cls.normalise(ndim, names, data["scale"], data["units"], data["axes"], colors)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return None


def _unit(unit: object) -> str:
    """Convert a unit to a text that every format can hold."""
    return clean_class_name(str(unit)) or "pixel"


def axis_letters(axes: Sequence[str] | None, ndim: int) -> str:
    """Convert axis names to letters: ``("t", "y", "x")`` to ``"TYX"``, unknown ones to the usual.

    napari's names for unnamed axes ("-2", "-1") count as unknown.
    """
    letters = [str(name).upper() for name in axes or ()]
    known = all(letter in {"T", "C", "Z", "Y", "X"} for letter in letters)
    if len(letters) == ndim and known and len(set(letters)) == ndim:
        return "".join(letters)
    if ndim in _USUAL_AXES:
        return _USUAL_AXES[ndim]
    raise BadInputError(f"Labels of {ndim} axes cannot be exported; save one part at a time.")
