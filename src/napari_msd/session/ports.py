"""What a session needs of the viewer, as protocols: it knows neither Qt nor napari.

`napari_msd.viewer` implements them with napari's layers. Layers pass through a session as opaque
objects; it reads their names and keeps class names in their metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_msd.core.box import Box
    from napari_msd.core.errors import MSDError
    from napari_msd.core.space import Space
    from napari_msd.document import AnnotationSnapshot, Coverage
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
    """Something that can be listened to: a signal of psygnal or of Qt."""

    def connect(self, slot: Callable[..., object], /) -> object:
        """Call `slot` whenever it happens."""

    def disconnect(self, slot: Callable[..., object], /) -> object:
        """Call it no longer."""


@dataclass(frozen=True)
class ImageData:
    """Pixels of the chosen image.

    Parameters
    ----------
    array
        Compared by identity only: another array is another image.
    space
        Its axes and channels.
    read
        Reads a box, with the channels of a colour image behind; safe on any thread, also after
        the layer is gone.
    """

    array: object
    space: Space
    read: Callable[[Box], npt.NDArray[np.generic]]


class ChosenLayers(Protocol):
    """The image and the annotation that are worked on."""

    @property
    def changed(self) -> Event:
        """Look at both anew; carries a sentence when one of them was deleted, else nothing."""

    @property
    def repainted(self) -> Event:
        """The annotation's array was replaced by another of the same shape."""

    @property
    def pixels_replaced(self) -> Event:
        """The image's array was replaced; `changed` follows."""

    @property
    def image(self) -> Layer | None:
        """The image layer."""

    @property
    def annotation(self) -> Layer | None:
        """The annotation layer."""

    @property
    def fitting(self) -> Layer | None:
        """The annotation if it fits the image."""

    @property
    def n_channels(self) -> int:
        """Channels of the image; one while there is none."""

    @property
    def data(self) -> ImageData:
        """Pixels of the image; there is one."""

    def problem(self, *, need_annotation: bool = True) -> MSDError | None:
        """Why nothing can be done now, as an error whose text is for the person."""

    def release(self) -> None:
        """Let go of both."""


class Strokes(Protocol):
    """Notices every change of the annotation."""

    @property
    def changed(self) -> Event:
        """Carries what changed, a list of `Painted`."""

    @property
    def scanned(self) -> Event:
        """All that was asked for has been compared."""

    @property
    def edited(self) -> Event:
        """The strokes changed after all that the layer held at first was reported."""

    layer: Layer | None

    @property
    def snapshot(self) -> AnnotationSnapshot:
        """What is painted, as far as it was compared."""

    @property
    def busy(self) -> bool:
        """Whether something is still to be compared."""

    def watch(self, layer: Layer | None) -> None:
        """Follow this layer; all it holds already is reported, too."""

    def rescan(self) -> None:
        """Compare everything, in the background."""

    def finish(self) -> None:
        """Compare what was touched now."""

    def release(self) -> None:
        """Let go of the layer."""


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
        """Whether a box lies on the plane that is on screen."""

    def show(self, image: Layer, box: Box) -> bool:
        """Bring a part of an image onto the screen; False if the image has no such part."""

    def close(self) -> None:
        """Let go of the viewer."""


class AnnotationTools(Protocol):
    """Keys and colours of the annotation layer."""

    layer: Layer | None

    def take(self, layer: Layer | None) -> bool:
        """Work on this layer; False if the class names kept in it are damaged."""

    def release(self) -> None:
        """Put keys and colours back as the person had them."""


class Overlay(Protocol):
    """The segmentation's layer."""

    @property
    def deleted(self) -> Event:
        """The person deleted the layer."""

    coverage: Coverage
    has_content: bool
    """Whether anything is predicted."""

    @property
    def layer(self) -> Layer | None:
        """The layer, if there is one."""

    @property
    def present(self) -> bool:
        """Whether the layer is in the viewer."""

    def find(self, image: Layer, colors: dict[int, str]) -> bool:
        """Take up the segmentation that `image` has already."""

    def attach(self, image: Layer, annotation: Layer | None, colors: dict[int, str]) -> None:
        """Make sure that the layer is there."""

    def detach(self) -> None:
        """Let go of the layer; it stays where it is."""

    def put(self, block: OverlayBlock) -> None:
        """Take a predicted block."""

    def flush(self) -> None:
        """Show what arrived."""

    def settle(self) -> None:
        """Work has ended: show all there is."""

    def clear(self) -> tuple[Labels, Coverage] | None:
        """Nothing is predicted any more; returns what was, for `restore`."""

    def restore(self, before: tuple[Labels, Coverage] | None) -> None:
        """Show what `clear` took away."""

    def set_colors(self, colors: dict[int, str]) -> None:
        """Follow the classes' colours."""

    def close(self) -> None:
        """Let go of the viewer."""


class UncertaintyLayer(Protocol):
    """The layer that shows where the network is unsure."""

    @property
    def removed(self) -> Event:
        """The person deleted the layer."""

    def attach(self, image: Layer, annotation: Layer | None) -> None:
        """Make sure that a layer for `image` is there."""

    def remove(self) -> None:
        """Take the layer away."""

    def put(self, block: OverlayBlock) -> None:
        """Take what a predicted block tells of uncertainty."""

    def close(self) -> None:
        """Let go of the viewer."""


@dataclass(frozen=True)
class Viewer:
    """All of them, of one viewer."""

    chosen: ChosenLayers
    strokes: Strokes
    screen: Screen
    annotation_tools: AnnotationTools
    overlay: Overlay
    uncertainty: UncertaintyLayer
