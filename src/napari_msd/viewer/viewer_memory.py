"""What the plugin remembers of a viewer while napari lives, also when the panel is closed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari_msd.document import NO_IMAGE, KeptModels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_msd.core.settings import DeviceChoice
    from napari_msd.document import KeptModel, Kind


class ViewerMemory:
    """Networks, their histories, and the choices made in the panel.

    Parameters
    ----------
    preset, device
        To begin with.
    """

    def __init__(self, preset: str, device: DeviceChoice) -> None:
        self.preset = preset
        self.device = device
        self.models = KeptModels()
        self.forgotten: tuple[Kind, KeptModel] | None = None
        """What Start over took away last."""
        self.classes: dict[int, tuple[str, str]] = {}
        """Name and colour of each class, by value."""
        self._numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._count: Iterator[int] = count(NO_IMAGE + 1)
        self._chosen: tuple[ref[Any] | None, ref[Any] | None] = (None, None)

    @property
    def names_and_colors(self) -> tuple[dict[int, str], dict[int, str]]:
        """Of all classes, by value."""
        names = {value: name for value, (name, _) in self.classes.items()}
        return names, {value: color for value, (_, color) in self.classes.items()}

    def number(self, image: Any) -> int:
        """A number that stands for this very image layer."""
        if image is None:
            return NO_IMAGE
        if image not in self._numbers:
            self._numbers[image] = next(self._count)
        return self._numbers[image]

    def choose(self, image: Any, annotation: Any) -> None:
        """Remember the layers that are worked on; either may be ``None``."""
        self._chosen = (
            None if image is None else ref(image),
            None if annotation is None else ref(annotation),
        )

    @property
    def chosen(self) -> tuple[Any, Any]:
        """The image and annotation worked on last, each ``None`` if it is gone."""
        image, annotation = self._chosen
        return image and image(), annotation and annotation()


_of_viewer: WeakKeyDictionary[Any, ViewerMemory] = WeakKeyDictionary()


def memory_of(viewer: Any, preset: str, device: DeviceChoice) -> ViewerMemory:
    """The memory of a viewer (or of its proxy); a new one starts with `preset` and `device`."""
    viewer = unwrapped(viewer)
    if viewer not in _of_viewer:
        _of_viewer[viewer] = ViewerMemory(preset, device)
    return _of_viewer[viewer]


def unwrapped(viewer: Any) -> Any:
    """The viewer itself: every widget gets a proxy of its own."""
    return getattr(viewer, "__wrapped__", viewer)
