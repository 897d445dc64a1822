"""The two combos that choose image and annotation, synchronised with the layer list.

A combo's text is exactly the layer's name; setting its index from code chooses a layer too. If
the chosen layer is deleted, the combo becomes empty: no other layer is chosen automatically.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal
from superqt.utils import signals_blocked

from napari_msd.viewer.layers import fits, is_image, is_labels
from napari_msd.viewer.result_layers import is_result
from napari_msd.widgets.plain_text import plain_tooltip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qtpy.QtWidgets import QComboBox


class LayerPicker(QObject):
    """Holds the chosen image and annotation."""

    chosen = Signal()
    """Another image or annotation (or none) is chosen."""
    annotation_picked = Signal(object)
    """The user chose this annotation in the combo."""

    def __init__(
        self,
        viewer: Any,
        image_combo: QComboBox,
        annotation_combo: QComboBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._images = _Choice(
            image_combo,
            lambda layer: is_image(layer) and not is_result(layer),
            "choose an image",
        )
        self._annotations = _Choice(
            annotation_combo,
            lambda layer: is_labels(layer) and not is_result(layer),
            "choose or press New",
        )
        self._named: list[Any] = []
        self._held = False
        image_combo.currentIndexChanged.connect(self._on_image_index)
        annotation_combo.currentIndexChanged.connect(self._on_annotation_index)
        annotation_combo.activated.connect(self._on_annotation_index)  # also the same again
        events = viewer.layers.events
        self._sources: tuple[Any, ...] = (events.inserted, events.removed, events.reordered)
        for source in self._sources:
            source.connect(self.refresh)
        self.refresh()

    @property
    def image(self) -> Any:
        """The chosen image layer, or ``None``."""
        return self._images.layer

    @property
    def annotation(self) -> Any:
        """The chosen annotation layer, or ``None``."""
        return self._annotations.layer

    def choose(self, *, image: Any = None, annotation: Any = None) -> None:
        """Choose layers from code."""
        self._images.choose(image)
        self._annotations.choose(annotation)
        if image is not None and annotation is None:
            self._drop_unfitting()
        self._on_index()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Choose nothing while layers are added; then update once."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self.refresh()

    def refresh(self, event: Any = None) -> None:
        """Update the combos from the layer list."""
        if self._held:
            return
        layers = list(self._viewer.layers)
        for layer in self._named:
            layer.events.name.disconnect(self._on_name)
        self._named = [layer for layer in layers if is_image(layer) or is_labels(layer)]
        for layer in self._named:
            layer.events.name.connect(self._on_name)
        active = self._viewer.layers.selection.active  # a proxy: only `found` is compared by "is"
        self._images.update(
            layers, lambda found: found[found.index(active) if active in found else 0]
        )
        self._annotations.update(layers, self._fitting)
        self.chosen.emit()

    def close(self) -> None:
        """Release viewer and layers."""
        for source in self._sources:
            source.disconnect(self.refresh)
        for layer in self._named:
            layer.events.name.disconnect(self._on_name)
        self._sources, self._named = (), []
        self._images.forget()
        self._annotations.forget()

    def _fitting(self, found: list[Any]) -> Any:
        """An annotation that fits the image, the active one if it does."""
        if self.image is None:
            return None
        fitting = [layer for layer in found if fits(self.image, layer)]
        active = self._viewer.layers.selection.active
        if active in fitting:
            return fitting[fitting.index(active)]
        return fitting[0] if fitting else None

    def _on_index(self, index: int = 0) -> None:
        self._images.read()
        self._annotations.read()
        if self._annotations.layer is None and not self._annotations.lost:
            self._annotations.update(list(self._viewer.layers), self._fitting)
        self.chosen.emit()

    def _on_image_index(self, index: int) -> None:
        """Choose another image, and drop an annotation that belongs to the previous one."""
        self._images.read()
        self._drop_unfitting()
        self._on_index()

    def _drop_unfitting(self) -> None:
        annotation = self._annotations.layer
        if self.image is not None and annotation is not None and not fits(self.image, annotation):
            self._annotations.clear()

    def _on_annotation_index(self, index: int) -> None:
        self._on_index()
        if self.annotation is not None:
            self.annotation_picked.emit(self.annotation)

    def _on_name(self, event: Any = None) -> None:
        self._images.rename()
        self._annotations.rename()
        self.chosen.emit()


class _Choice:
    """One combo and the layers in it."""

    def __init__(self, combo: QComboBox, offers: Callable[[Any], bool], placeholder: str) -> None:
        self._combo, self._offers = combo, offers
        self._layers: list[Any] = []
        self.layer: Any = None
        self.lost = False
        """Whether the chosen layer was deleted: the user then chooses the next one."""
        combo.setPlaceholderText(placeholder)

    def update(self, layers: list[Any], default: Callable[[list[Any]], Any]) -> None:
        found = [layer for layer in layers if self._offers(layer)]
        if self.layer is not None and self.layer not in found:
            self.layer, self.lost = None, True
        if not found:
            self.lost = False  # the next layer is chosen as the first one was
        if self.layer is None and found and not self.lost:
            self.layer = default(found)
        self._layers = found
        self._show()

    def choose(self, layer: Any) -> None:
        if layer is not None and layer in self._layers:
            self.layer, self.lost = self._layers[self._layers.index(layer)], False
            self._show()

    def read(self) -> None:
        index = self._combo.currentIndex()
        if 0 <= index < len(self._layers):
            self.layer, self.lost = self._layers[index], False

    def clear(self) -> None:
        """Choose nothing."""
        self.layer, self.lost = None, False
        self._show()

    def rename(self) -> None:
        for index, layer in enumerate(self._layers):
            self._combo.setItemText(index, layer.name)
            self._combo.setItemData(index, plain_tooltip(layer.name), Qt.ItemDataRole.ToolTipRole)

    def forget(self) -> None:
        self._layers, self.layer = [], None

    def _show(self) -> None:
        combo = self._combo
        with signals_blocked(combo):
            combo.clear()
            combo.addItems([layer.name for layer in self._layers])
            self.rename()
            combo.setCurrentIndex(self._layers.index(self.layer) if self.layer is not None else -1)
