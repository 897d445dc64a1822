"""Which image layers are the channels of the chosen image, as the panel's list says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_msd.viewer import channels
from napari_msd.viewer.layers import is_colour, spatial_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.session.memory import SessionMemory
    from napari_msd.widgets.head import Head


class ChannelPicker(QObject):
    """Holds the channels of the chosen image.

    What belongs together on screen is chosen by itself, until a person ticks something or paints.

    Parameters
    ----------
    viewer
        The napari viewer.
    memory
        Remembers what was chosen for which image.
    head
        Shows the list.
    """

    chosen = Signal()
    """A person ticked other layers."""

    def __init__(self, viewer: Any, memory: SessionMemory, head: Head, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._memory, self._head = viewer, memory, head
        self._image: Any = None
        self._layers: list[Any] = []
        """The rows of the list."""
        self.channels: tuple[Any, ...] = ()
        """The chosen layers, the image among them, in the network's order."""
        self.lost = ""
        """Name of a channel that was gone at the last `update`; empty for none."""
        head.channel_choice.changed.connect(self._on_ticked)

    def update(self, image: Any) -> tuple[Any, ...]:
        """Follow the layer list and the choice of an image; returns the channels."""
        before, same = self.channels, image is self._image
        self._image, self.lost = image, ""
        if image is None or len(spatial_shape(image)) < 2:
            self._layers, self.channels = [], () if image is None else (image,)
            self._head.show_channels((), (), 0)
            return self.channels
        present = list(self._viewer.layers)
        known = self._memory.channels_of(image)
        chosen = None if known is None else [layer for layer in known if layer in present]
        found = channels.candidates(image, present)
        # a channel that was moved stays in the list: it can be unticked there
        self._layers = [layer for layer in present if layer in found or layer in (chosen or ())]
        if chosen is None or image not in chosen or is_colour(image):
            chosen = channels.belonging(image, found)
        self.channels = self._memory.in_order(chosen)
        self._show()
        if same and (gone := [layer for layer in before if layer not in present]):
            if known is not None:
                self._memory.choose_channels(self.channels)
            self.lost = gone[0].name
        return self.channels

    def choose(self, layers: Sequence[Any]) -> None:
        """Choose these channels, in this order, from code."""
        self._memory.choose_channels(layers)

    def fix(self) -> None:
        """Keep the channels as they are: a person works with them."""
        if self._image is not None and self.channels:
            self._memory.choose_channels(self.channels)

    def candidates(self) -> list[Any]:
        """The layers that could be channels of the image."""
        return list(self._layers)

    def _show(self) -> None:
        ticked = [layer in self.channels for layer in self._layers]
        names = [layer.name for layer in self._layers]
        self._head.show_channels(names, ticked, self._layers.index(self._image))

    def _on_ticked(self, rows: list[int]) -> None:
        wanted = [self._layers[row] for row in rows if row < len(self._layers)]
        if self._image not in wanted:
            wanted.append(self._image)
        self._memory.choose_channels(self._memory.in_order(wanted))
        self.chosen.emit()
