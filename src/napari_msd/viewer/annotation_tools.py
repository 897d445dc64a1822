"""Keys, colours and classes on the annotation layer.

Keys are restored on release. So are the colours of a layer that came without classes; one that has
classes keeps theirs, because its strokes may stay visible beside those of another image.

Strokes are changed only through the layer's own ``data_setitem``, so that napari's undo
brings them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_msd.session.classes import FOUND_CLASSES
from napari_msd.viewer.colors import SPARE_COLORS, colors_in_advance, label_colormap
from napari_msd.viewer.key_bindings import KeyBindings, bind_class_keys
from napari_msd.viewer.layers import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_msd.document import Annotation
    from napari_msd.session.classes import ClassTable


class AnnotationTools(QObject):
    """Manages one annotation layer at a time; `picked` emits its selected class."""

    picked = Signal(int)
    brush_changed = Signal()
    """The layer's tool or brush size has changed."""

    def __init__(self, viewer: Any, table: ClassTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._table = viewer, table
        self.layer: Any = None
        self._keys: KeyBindings | None = None
        self._colormap: Any = None
        """What the user saw the layer with; ``None`` if it came with classes."""
        self._mapped: dict[int, str] = {}
        """Colours that the layer's colormap has, by value."""
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
        self._colormap = None if found else layer.colormap
        self._keys = bind_class_keys(layer, self.pick)
        layer.events.selected_label.connect(self._on_selected)
        layer.events.mode.connect(self._on_brush)
        layer.events.brush_size.connect(self._on_brush)
        self._on_classes()
        self._on_selected()
        return found is not None

    def release(self) -> None:
        """Restore the user's keys, and the colours of a layer that came without classes."""
        layer, self.layer = self.layer, None
        if layer is None:
            return
        layer.events.selected_label.disconnect(self._on_selected)
        layer.events.mode.disconnect(self._on_brush)
        layer.events.brush_size.disconnect(self._on_brush)
        if self._keys is not None:
            self._keys.release()
            self._keys = None
        if self._colormap is not None:
            layer.colormap = self._colormap
            self._colormap = None
        self._mapped = {}

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

    # --- the brush, as the panel's buttons ask for it ------------------------------------

    @property
    def mode(self) -> str:
        """The tool, by napari's name; empty if there is no layer."""
        return str(self.layer.mode) if self.layer is not None else ""

    @property
    def brush_size(self) -> float:
        """Size of the brush in pixels of the annotation; 0 if there is no layer."""
        return float(self.layer.brush_size) if self.layer is not None else 0.0

    def take_tool(self, mode: str) -> None:
        """Make the annotation active, with this tool (``paint`` or ``erase``)."""
        if self.layer is None:
            return
        self._viewer.layers.selection.active = self.layer
        if self.layer.editable:
            self.layer.mode = mode
        self.brush_changed.emit()

    def set_brush_size(self, size: int) -> None:
        """Set the size of the brush, in pixels of the annotation."""
        if self.layer is not None:
            self.layer.brush_size = size

    def undo(self) -> None:
        """Undo the last stroke."""
        if self.layer is not None:
            self.layer.undo()

    def redo(self) -> None:
        """Do the undone stroke again."""
        if self.layer is not None:
            self.layer.redo()

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
            for indices in found:
                self._write_box(indices, new)
            layer.refresh()

    def fill(self, indices: NDArray[np.intp], values: NDArray[np.uint8]) -> None:
        """Write a class value to each pixel, as one undo step.

        Parameters
        ----------
        indices
            (n, axes of the layer).
        values
            (n,).
        """
        layer = self.layer
        if layer is None or not len(indices):
            return
        try:
            layer.data_setitem(tuple(indices.T), values)
        except (IndexError, NotImplementedError, TypeError):
            self._write_box(indices, values)
            layer.refresh()

    def _write_box(self, indices: NDArray[np.intp], new: int | NDArray[np.uint8]) -> None:
        """Write to an array without index lists; these have no undo in napari either."""
        data = pixels(self.layer)
        start, stop = indices.min(axis=0), indices.max(axis=0) + 1
        box = tuple(map(slice, start, stop))
        part = np.array(data[box])
        part[tuple((indices - start).T)] = new
        data[box] = part

    # --- synchronisation -----------------------------------------------------------------

    def _on_classes(self) -> None:
        if self.layer is not None:
            colors = self._table.colors
            # napari redraws the whole plane for another colormap
            if any(self._mapped.get(value) != color for value, color in colors.items()):
                self._mapped = colors_in_advance(colors, SPARE_COLORS)
                self.layer.colormap = label_colormap(self._mapped)
            self._table.save_to(self.layer)

    def _on_brush(self, event: Any = None) -> None:
        self.brush_changed.emit()

    def _on_selected(self, event: Any = None) -> None:
        if self.layer is not None:
            self.picked.emit(int(self.layer.selected_label))
