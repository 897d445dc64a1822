"""What is kept for a viewer as long as it exists, also when the panel is closed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from napari_msd.document import NO_IMAGE, KeptModels
from napari_msd.session.classes import HIDDEN_AT_FIRST, NEW_CLASSES, ClassTable
from napari_msd.session.saving import Saving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_msd.core.settings import DeviceChoice
    from napari_msd.core.space import Mode
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
        self.channel_maps: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[int, ...]] = {}
        """By a model's channels and the names of the layers: which of them a person chose."""
        self._numbers: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        self._count: Iterator[int] = count(NO_IMAGE + 1)
        self._chosen: tuple[ref[Layer] | None, ref[Layer] | None] = (None, None)
        self._modes: WeakKeyDictionary[Layer, Mode] = WeakKeyDictionary()
        self._contexts: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        self._channels: WeakKeyDictionary[Layer, tuple[ref[Layer], ...]] = WeakKeyDictionary()
        self._orders: dict[frozenset[int], tuple[int, ...]] = {}

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

    # --- what the network sees -----------------------------------------------------------

    def choose_mode(self, layers: Iterable[Layer], mode: Mode) -> None:
        """Remember the mode that a person chose for the image of these layers."""
        for layer in layers:
            self._modes[layer] = mode

    def mode_of(self, layers: Iterable[Layer]) -> Mode | None:
        """The mode that a person chose; ``None`` if nobody did."""
        return next((self._modes[layer] for layer in layers if layer in self._modes), None)

    def choose_context(self, layers: Iterable[Layer], context: int) -> None:
        """Remember how many slices on each side are seen in 2.5-D."""
        for layer in layers:
            self._contexts[layer] = context

    def context_of(self, layers: Iterable[Layer]) -> int:
        """Slices on each side, in 2.5-D."""
        return next((self._contexts[layer] for layer in layers if layer in self._contexts), 1)

    def choose_channels(self, layers: Sequence[Layer]) -> None:
        """Remember that these layers are the channels of one image, in this order."""
        numbers = tuple(map(self.number, layers))
        self._orders[frozenset(numbers)] = numbers
        together = tuple(map(ref, layers))
        for layer in layers:
            self._channels[layer] = together

    def channels_of(self, image: Layer) -> tuple[Layer, ...] | None:
        """The layers chosen together with `image` that still exist; ``None`` if nobody chose."""
        if image not in self._channels:
            return None
        return tuple(layer for known in self._channels[image] if (layer := known()) is not None)

    def in_order(self, layers: Sequence[Layer]) -> tuple[Layer, ...]:
        """These layers in the order in which a network has seen them, else as they are given.

        So a network is found again after layers were moved in the list, or unticked and ticked.
        """
        by_number = {self.number(layer): layer for layer in layers}
        known = self._orders.setdefault(frozenset(by_number), tuple(by_number))
        return tuple(by_number[number] for number in known)

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
