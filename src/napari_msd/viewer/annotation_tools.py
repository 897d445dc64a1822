"""Keys, colours and classes on the annotation layer; all of it is restored on release.

Strokes are changed only through the layer's own ``data_setitem``, so that napari's undo
brings them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_msd.session.classes import FOUND_CLASSES
from napari_msd.viewer.colors import label_colormap
from napari_msd.viewer.key_bindings import KeyBindings, bind_class_keys
from napari_msd.viewer.layers import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_msd.document import Annotation
    from napari_msd.session.classes import ClassTable

_SPARE_COLORS = 9


class AnnotationTools(QObject):
    """Manages one annotation layer at a time; `picked` emits its selected class."""

    picked = Signal(int)
    brush_changed = Signal()
    """The layer's tool has changed."""

    def __init__(self, viewer: Any, table: ClassTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._table = viewer, table
        self.layer: Any = None
        self._keys: KeyBindings | None = None
        self._colormap: Any = None
        table.changed.connect(self._on_classes)

    def take(self, layer: Any) -> bool:
        """Use this layer from now on (``None``: none) and restore the previous one.

        Returns
        -------
        bool
            False if the class names and colours stored in it are damaged.
        """
        self.release()
        if layer is None:
            return True
        found = self._table.load_from(layer)
        if not found:
            self._table.reset(dict(FOUND_CLASSES))
        self.layer = layer
        self._colormap = layer.colormap
        self._keys = bind_class_keys(layer, self.pick)
        layer.events.selected_label.connect(self._on_selected)
        layer.events.mode.connect(self._on_mode)
        self._on_classes()
        self._on_selected()
        return found is not None

    def release(self) -> None:
        """Restore the user's keys and colours."""
        layer, self.layer = self.layer, None
        if layer is None:
            return
        layer.events.selected_label.disconnect(self._on_selected)
        layer.events.mode.disconnect(self._on_mode)
        if self._keys is not None:
            self._keys.release()
            self._keys = None
        layer.colormap = self._colormap
        self._colormap = None

    def pick(self, value: int) -> None:
        """Select this class for painting."""
        if self.layer is None or value not in self._table:
            return
        self._viewer.layers.selection.active = self.layer
        self.layer.selected_label = value
        if self.layer.editable:
            self.layer.mode = "paint"

    @property
    def painting_tool_active(self) -> bool:
        """Whether dragging over the image paints or erases instead of moving the image."""
        return self.layer is not None and self.layer.mode not in ("pan_zoom", "transform")

    # --- strokes -------------------------------------------------------------------------

    def repaint(self, annotation: Annotation, value: int, new: int) -> None:
        """Change all strokes of a class to another class (0: erase), as one undo step."""
        layer = self.layer
        found = [
            np.hstack([np.tile(slab.index, (len(pixels), 1)).astype(np.intp), pixels])
            for slab, pixels in annotation.where(value)
        ]
        if layer is None or not found:
            return
        try:
            layer.data_setitem(tuple(np.concatenate(found).T), new)
        except (IndexError, NotImplementedError, TypeError):
            self._write_boxes(found, new)

    def _write_boxes(self, found: list[NDArray[np.intp]], new: int) -> None:
        """Write to arrays without index lists; these have no undo in napari either."""
        data = pixels(self.layer)
        for indices in found:
            start, stop = indices.min(axis=0), indices.max(axis=0) + 1
            box = tuple(map(slice, start, stop))
            part = np.array(data[box])
            part[tuple((indices - start).T)] = new
            data[box] = part
        self.layer.refresh()

    # --- synchronisation -----------------------------------------------------------------

    def _on_classes(self) -> None:
        if self.layer is not None:
            self.layer.colormap = label_colormap(self._table.colors, spare=_SPARE_COLORS)
            self._table.save_to(self.layer)

    def _on_mode(self, event: Any = None) -> None:
        self.brush_changed.emit()

    def _on_selected(self, event: Any = None) -> None:
        if self.layer is not None:
            self.picked.emit(int(self.layer.selected_label))
