"""The chosen image and annotation layers, and whether they can be used for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_msd.core.errors import ImageError, MSDError, StrokesError
from napari_msd.session.ports import ImageData
from napari_msd.viewer import layers
from napari_msd.viewer.references import reference_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.storage import ImageReference


class ChosenLayers(QObject):
    """The chosen image and annotation; emits signals when they or their pixels change."""

    changed = Signal(str)
    """A layer changed, check both again; carries a sentence if one was deleted."""
    repainted = Signal()
    """The annotation's array was replaced by another of the same shape."""
    pixels_replaced = Signal()
    """The image's array was replaced; `changed` follows."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.image: Any = None
        self.annotation: Any = None
        self._shape: tuple[int, ...] = ()

    def choose(self, image: Any, annotation: Any) -> None:
        """Use these layers from now on; either may be ``None``."""
        if image is self.image and annotation is self.annotation:
            return
        lost = self._lost_sentence(image, annotation)
        self._listen("disconnect")
        self.image, self.annotation = image, annotation
        self._shape = () if annotation is None else layers.spatial_shape(annotation)
        self._listen("connect")
        self.changed.emit(lost)

    def release(self) -> None:
        """Release both layers."""
        self._listen("disconnect")
        self.image = self.annotation = None

    @property
    def n_channels(self) -> int:
        """Channels of the image; one while there is none."""
        return 1 if self.image is None else layers.n_channels(self.image)

    @property
    def data(self) -> ImageData:
        """Pixels of the image; call it only if an image is chosen."""
        return ImageData(
            layers.pixels(self.image),
            layers.space_of(self.image),
            layers.box_reader(self.image),
        )

    @property
    def reference(self) -> ImageReference:
        """Where the image came from; call it only if an image is chosen."""
        return reference_of(self.image)

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
            if need_annotation and self.annotation is None:
                raise StrokesError("Press New to make a layer for strokes, then paint on it.")
            if need_annotation:
                layers.check_pair(self.image, self.annotation)
        except MSDError as error:
            return error
        return None

    # --- napari's events -----------------------------------------------------------------

    def _lost_sentence(self, image: Any, annotation: Any) -> str:
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
        handlers: tuple[tuple[Any, Callable[..., None]], ...] = (
            (self.image, self._on_image_data),
            (self.annotation, self._on_annotation_data),
        )
        for layer, handler in handlers:
            if layer is not None:
                getattr(layer.events.data, how)(handler)

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
