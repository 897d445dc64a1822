"""The chosen image, its channels and the annotation, and whether they can be used for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_msd.core.errors import ImageError, MSDError, StrokesError
from napari_msd.viewer import channels, layers
from napari_msd.viewer.axes import axes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_msd.core.space import Space
    from napari_msd.session.ports import Channel, ImageData

_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Events of a layer after which it may no longer fit the others."""


class ChosenLayers(QObject):
    """The chosen layers; emits signals when they, their pixels or their places change."""

    changed = Signal(str)
    """A layer changed, check all of them again; carries a sentence if one was deleted."""
    repainted = Signal()
    """The annotation's array was replaced by another of the same shape."""
    pixels_replaced = Signal()
    """An array of the image was replaced; `changed` follows."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.image: Any = None
        self.layers: tuple[Any, ...] = ()
        """The image and the layers that are channels with it, in the network's order."""
        self.annotation: Any = None
        self._shape: tuple[int, ...] = ()
        self._seen: object = None
        """What the last check of the places has found."""
        # layers that are moved together, one after the other, do not fit in between
        self._check_places = QTimer(self)
        self._check_places.setSingleShot(True)
        self._check_places.setInterval(0)
        self._check_places.timeout.connect(self._on_places)

    def choose(self, image: Any, annotation: Any, channels: Sequence[Any] = ()) -> None:
        """Use these layers from now on; `image` and `annotation` may be ``None``."""
        chosen = tuple(channels) or (() if image is None else (image,))
        same = len(chosen) == len(self.layers) and all(
            a is b for a, b in zip(chosen, self.layers, strict=True)
        )
        if image is self.image and annotation is self.annotation and same:
            return
        lost = self._lost_sentence(image, annotation, chosen)
        self._listen("disconnect")
        self.image, self.annotation, self.layers = image, annotation, chosen
        self._shape = () if annotation is None else layers.spatial_shape(annotation)
        self._listen("connect")
        self._seen = self._outlook()
        self.changed.emit(lost)

    def release(self) -> None:
        """Release all layers."""
        self._check_places.stop()
        self._listen("disconnect")
        self.image = self.annotation = None
        self.layers = ()

    @property
    def data(self) -> ImageData:
        """Pixels of the image; call it only if an image is chosen."""
        return channels.data_of(self.layers)

    @property
    def space(self) -> Space | None:
        """Axes and channels of the image, in 2-D; ``None`` if none is chosen, or it has no rows."""
        if self.image is None or len(layers.spatial_shape(self.image)) < 2:
            return None
        return self.data.space

    @property
    def axes_said(self) -> bool:
        """Whether the axes of the image are said somewhere; else they are a guess."""
        return self.image is not None and axes_of(self.image).said

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The layers of the image, with where they came from."""
        return tuple(channels.channel(layer) for layer in self.layers)

    @property
    def fitting(self) -> Any:
        """The annotation if it fits the image, else ``None``."""
        return self.annotation if self.annotation is not None and not self.problem() else None

    def problem(self, *, need_annotation: bool = True) -> MSDError | None:
        """Why these layers cannot be used, as an error with a sentence for the user."""
        try:
            if self.image is None:
                raise ImageError("Open an image first, or choose one above.")
            layers.check_image(self.image)
            channels.check_together(self.image, self.layers)
            if need_annotation and self.annotation is None:
                raise StrokesError("Press New to make a layer for strokes, then paint on it.")
            if need_annotation:
                layers.check_pair(self.image, self.annotation)
        except MSDError as error:
            return error
        return None

    # --- napari's events -----------------------------------------------------------------

    def _lost_sentence(self, image: Any, annotation: Any, chosen: Sequence[Any]) -> str:
        present = list(self._viewer.layers)
        pairs = (
            ("image", self.image, image, "choose another one above, or open one"),
            ("annotation", self.annotation, annotation, "choose another one above, or press New"),
        )
        for what, old, new, then in pairs:
            if old is not None and new is None and old not in present:
                return f"The {what} “{old.name}” was deleted; {then}."
        return ""

    def _listen(self, how: str) -> None:
        handlers: list[tuple[Any, Callable[..., None]]] = [
            (layer, self._on_image_data) for layer in self.layers
        ]
        handlers.append((self.annotation, self._on_annotation_data))
        for layer, handler in handlers:
            if layer is not None:
                getattr(layer.events.data, how)(handler)
                for name in _PLACEMENT:
                    getattr(getattr(layer.events, name), how)(self._on_placement)

    def _outlook(self) -> object:
        """What changes of a place may change: the problem, and what the network is told."""
        space = self.space
        size = None if space is None else space.pixel_size
        return str(self.problem() or ""), space, size, self.axes_said

    def _on_placement(self, event: Any = None) -> None:
        self._check_places.start()

    def _on_places(self) -> None:
        seen = self._outlook()
        if seen != self._seen:
            self._seen = seen
            self.changed.emit("")

    def _on_image_data(self, event: Any = None) -> None:
        self.pixels_replaced.emit()
        self.changed.emit("")

    def _on_annotation_data(self, event: Any = None) -> None:
        shape = layers.spatial_shape(self.annotation)
        if shape == self._shape:
            self.repainted.emit()
        else:
            self._shape = shape
            self.changed.emit("")
