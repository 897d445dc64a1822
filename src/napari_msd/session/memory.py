"""What is kept for a viewer as long as it exists, also when the panel is closed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from napari_msd.document import NO_IMAGE, KeptModels
from napari_msd.session.classes import HIDDEN_AT_FIRST, NEW_CLASSES, ClassTable
from napari_msd.session.saving import Saving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_msd.core.settings import DeviceChoice
    from napari_msd.document import KeptModel, Kind
    from napari_msd.session.ports import Layer


class SessionMemory:
    """Networks, their histories, and the choices made in the panel.

    Parameters
    ----------
    preset, device
        Initial choices.
    """

    def __init__(self, preset: str, device: DeviceChoice) -> None:
        self.preset = preset
        self.device = device
        self.models = KeptModels()
        self.saving = Saving()
        self.forgotten: tuple[Kind, KeptModel] | None = None
        """The network that Start over removed last."""
        self.classes: dict[int, tuple[str, str]] = {}
        """Name and colour of each class, by value."""
        self.hidden: frozenset[int] = frozenset()
        """Values of the classes that the segmentation does not show."""
        self._numbers: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        self._count: Iterator[int] = count(NO_IMAGE + 1)
        self._chosen: tuple[ref[Layer] | None, ref[Layer] | None] = (None, None)

    @property
    def names_and_colors(self) -> tuple[dict[int, str], dict[int, str]]:
        """Names and colours of all classes, by value."""
        names = {value: name for value, (name, _) in self.classes.items()}
        return names, {value: color for value, (_, color) in self.classes.items()}

    def number(self, image: Layer | None) -> int:
        """The number of this image layer; each layer object has its own."""
        if image is None:
            return NO_IMAGE
        if image not in self._numbers:
            self._numbers[image] = next(self._count)
        return self._numbers[image]

    def choose(self, image: Layer | None, annotation: Layer | None) -> None:
        """Remember the chosen layers; either may be ``None``."""
        self._chosen = (
            None if image is None else ref(image),
            None if annotation is None else ref(annotation),
        )

    @property
    def chosen(self) -> tuple[Layer | None, Layer | None]:
        """The last chosen image and annotation, each ``None`` if it no longer exists."""
        image, annotation = self._chosen
        return image() if image else None, annotation() if annotation else None


def remembered_classes(memory: SessionMemory) -> ClassTable:
    """The classes of a new panel: the remembered ones, else those of a new annotation."""
    table = ClassTable()
    if memory.classes:
        table.reset(*memory.names_and_colors, memory.hidden)
    else:
        table.reset(dict(NEW_CLASSES), hidden=HIDDEN_AT_FIRST)
    return table
