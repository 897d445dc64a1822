"""What a person does to a document, each as an immutable value.

Nothing else changes a document: whoever knows its operations, in order, knows the document
(`napari_msd.document.document`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_msd.core.box import Box, SourceId
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.settings import MAX_CLASSES, Settings
from napari_msd.core.space import Space
from napari_msd.document.annotation import Labels


@dataclass(frozen=True)
class BindSource:
    """`source` is an image with these axes; bound again, it is another one of the same shape.

    `name` is how a person, or a program, finds it again: a layer's name, a path, an address.
    """

    source: SourceId
    space: Space
    name: str = ""


@dataclass(frozen=True, eq=False)
class PaintBox:
    """The painted values of `box` are now `values`: uint8 of its shape, 0 = nothing painted.

    Raises
    ------
    ValueError
        If shapes or types do not agree.
    """

    box: Box
    values: Labels

    def __post_init__(self) -> None:
        if self.values.dtype != np.uint8 or self.values.shape != self.box.shape:
            found = f"{self.values.dtype} {self.values.shape}"
            raise ValueError(f"{self.box} needs uint8 values of its shape, not {found}")
        values = self.values.copy()  # never a view of what somebody goes on painting on
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PaintBox):
            return NotImplemented
        return self.box == other.box and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.box, self.values.tobytes()))


@dataclass(frozen=True)
class DefineClass:
    """A class of this value has this name and colour; it may be known already."""

    info: ClassInfo

    def __post_init__(self) -> None:
        _require_class(self.info.value)


@dataclass(frozen=True)
class RenameClass:
    """Class `value` is called `name` from now on."""

    value: int
    name: str


@dataclass(frozen=True)
class MergeClasses:
    """All that is painted as class `value`, in all sources, is of class `into`; `value` is gone."""

    value: int
    into: int

    def __post_init__(self) -> None:
        _require_class(self.into)
        if self.value == self.into:
            raise ValueError("a class cannot be merged into itself")


@dataclass(frozen=True)
class RemoveClass:
    """Class `value` is gone, and all that is painted of it, in all sources."""

    value: int


@dataclass(frozen=True)
class ChooseSettings:
    """The network, its training and the device are to be these."""

    settings: Settings


Operation = (
    BindSource | PaintBox | DefineClass | RenameClass | MergeClasses | RemoveClass | ChooseSettings
)


def _require_class(value: int) -> None:
    if not 1 <= value <= MAX_CLASSES:
        raise ValueError(f"class values go from 1 to {MAX_CLASSES}, not {value}")
