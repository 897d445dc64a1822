"""What a session needs from the viewer, as protocols without Qt or napari.

`napari_msd.viewer` implements them with napari's layers. Layers pass through a session as opaque
objects; it reads their names and keeps class names in their metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_msd.core.box import Box
    from napari_msd.core.errors import MSDError
    from napari_msd.core.space import Space
    from napari_msd.document import AnnotationSnapshot, Coverage
    from napari_msd.document.chunked import ChunkedLabels
    from napari_msd.storage import ImageReference
    from napari_msd.trainer.events import OverlayBlock

SOURCE: Final = 0
"""Number of the chosen image within a session."""

Labels = object
"""The array of a segmentation layer, as the viewer keeps it."""


class Layer(Protocol):
    """A layer of the viewer."""

    name: str
    metadata: dict[str, object]


class Event(Protocol):
    """Anything with slots: a psygnal or Qt signal."""

    def connect(self, slot: Callable[..., object], /) -> object:
        """Call `slot` for every event."""

    def disconnect(self, slot: Callable[..., object], /) -> object:
        """Stop calling `slot`."""


@dataclass(frozen=True)
class ImageData:
    """Pixels of the chosen image: of all layers that are its channels.

    Parameters
    ----------
    arrays
        Of each layer. Compared by identity only: another array is another image.
    space
        Axes and channels of the image, in 2-D.
    read
        Reads a box, with the channels behind if there are several; safe on any thread, also after
        the layers are gone.
    """

    arrays: tuple[object, ...]
    space: Space
    read: Callable[[Box], npt.NDArray[np.generic]]

    def same(self, other: ImageData) -> bool:
        """Whether these are the pixels of the same arrays, seen as the same axes."""
        return (
            self.space == other.space
            and len(self.arrays) == len(other.arrays)
            and all(a is b for a, b in zip(self.arrays, other.arrays, strict=True))
        )


@dataclass(frozen=True)
class Channel:
    """An image layer that the network sees, alone or with others.

    Parameters
    ----------
    layer
        The layer.
    reference
        Where it came from.
    data
        Its own pixels.
    """

    layer: Layer
    reference: ImageReference
    data: ImageData


class ChosenLayers(Protocol):
    """The chosen image, the layers that are its channels, and the annotation."""

    @property
    def changed(self) -> Event:
        """A layer changed, check all of them again; carries a sentence if one is gone, else ""."""

    @property
    def repainted(self) -> Event:
        """The annotation's array was replaced by another of the same shape."""

    @property
    def pixels_replaced(self) -> Event:
        """An array of the image was replaced; `changed` follows."""

    def choose(
        self, image: Layer | None, annotation: Layer | None, channels: Sequence[Layer] = ()
    ) -> None:
        """Use these layers from now on; `channels` are in the network's order, or the image."""

    @property
    def image(self) -> Layer | None:
        """The image layer."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that are channels of the image, itself among them, in the network's order."""

    @property
    def annotation(self) -> Layer | None:
        """The annotation layer."""

    @property
    def fitting(self) -> Layer | None:
        """The annotation if it fits the image."""

    @property
    def data(self) -> ImageData:
        """Pixels of the image; call it only if an image is chosen."""

    @property
    def space(self) -> Space | None:
        """Axes and channels of the image, in 2-D; ``None`` if none is chosen."""

    @property
    def axes_said(self) -> bool:
        """Whether the axes of the image are said somewhere; else they are a guess."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The same as `layers`, with where they came from."""

    def problem(self, *, need_annotation: bool = True) -> MSDError | None:
        """Why these layers cannot be used, as an error with a sentence for the user."""

    def release(self) -> None:
        """Release the layers."""


class Strokes(Protocol):
    """Notices every change of the annotation."""

    @property
    def changed(self) -> Event:
        """Carries what changed, a list of `Painted`."""

    @property
    def scanned(self) -> Event:
        """Everything that was requested has been compared."""

    @property
    def edited(self) -> Event:
        """Somebody changed the strokes: not what a layer holds when it is chosen."""

    layer: Layer | None

    @property
    def snapshot(self) -> AnnotationSnapshot:
        """The painted values, as far as they were compared."""

    @property
    def busy(self) -> bool:
        """Whether something is still to be compared."""

    def watch(self, layer: Layer | None) -> None:
        """Follow this layer; its present content is reported too."""

    def rescan(self) -> None:
        """Compare everything, in the background."""

    def finish(self) -> None:
        """Compare touched parts now."""

    def settle(self) -> None:
        """Report the last edits, before the layer is let go."""

    def release(self) -> None:
        """Release the layer."""


class Screen(Protocol):
    """What is on screen."""

    @property
    def changed(self) -> Event:
        """Carries the visible box."""

    def watch(self, layer: Layer | None) -> None:
        """Follow the view onto this layer."""

    def view(self) -> Box:
        """The visible part of the image."""

    def shows(self, box: Box) -> bool:
        """Whether a box is on the plane that is on screen."""

    def show(self, image: Layer, box: Box) -> bool:
        """Show a part of an image on screen; False if the image has no such part."""

    def close(self) -> None:
        """Release the viewer."""


class AnnotationTools(Protocol):
    """Keys and colours of the annotation layer."""

    layer: Layer | None

    def take(self, layer: Layer | None) -> bool:
        """Use this layer; False if its stored class names are damaged."""

    def release(self) -> None:
        """Restore the user's keys and colours."""


class Overlay(Protocol):
    """The segmentation layer."""

    @property
    def deleted(self) -> Event:
        """The user deleted the layer."""

    coverage: Coverage
    has_content: bool
    """Whether anything is predicted."""

    @property
    def layer(self) -> Layer | None:
        """The layer, if any."""

    @property
    def present(self) -> bool:
        """Whether the layer is in the viewer."""

    def find(self, image: Layer, colors: dict[int, str]) -> bool:
        """Reuse the segmentation that `image` has already."""

    def attach(self, image: Layer, annotation: Layer | None, colors: dict[int, str]) -> None:
        """Make sure that the layer exists."""

    def detach(self) -> None:
        """Release the layer; it stays in the viewer."""

    def put(self, block: OverlayBlock) -> None:
        """Queue a predicted block."""

    def flush(self) -> None:
        """Show the queued blocks."""

    def show_all(self) -> None:
        """Show everything, at the end of work."""

    def snapshot(self) -> Callable[[], npt.NDArray[np.uint8] | ChunkedLabels]:
        """Function that copies the segmentation as it is now, on any thread."""

    def clear(self) -> tuple[Labels, Coverage] | None:
        """Empty the segmentation; returns its former content, for `restore`."""

    def restore(self, before: tuple[Labels, Coverage] | None) -> None:
        """Show what `clear` removed."""

    def set_colors(self, colors: dict[int, str]) -> None:
        """Use these class colours."""

    def close(self) -> None:
        """Release the viewer."""


class UncertaintyLayer(Protocol):
    """The layer that shows where the network is unsure."""

    @property
    def removed(self) -> Event:
        """The user deleted the layer."""

    def attach(self, image: Layer, annotation: Layer | None) -> None:
        """Make sure that a layer for `image` exists."""

    def put_away(self) -> None:
        """Make the layer invisible; `attach` shows it again."""

    def remove(self) -> None:
        """Remove the layer."""

    def put(self, block: OverlayBlock) -> None:
        """Write the uncertainty of a predicted block."""

    def close(self) -> None:
        """Release the viewer."""


@dataclass(frozen=True)
class Viewer:
    """All parts of one viewer that a session uses."""

    chosen: ChosenLayers
    strokes: Strokes
    screen: Screen
    annotation_tools: AnnotationTools
    overlay: Overlay
    uncertainty: UncertaintyLayer
