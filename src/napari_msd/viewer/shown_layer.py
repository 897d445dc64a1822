"""Visibility and opacity of a result layer that may come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

_OPACITY = 0.5


class ShownLayer(QObject):
    """A layer whose visibility and opacity outlive it, and follow napari's own controls.

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    """

    look_changed = Signal()
    """Visibility or opacity has changed, whoever changed it."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: Any = None
        self._opacity = _OPACITY
        self._shown, self._held = True, False
        self._chosen = False
        """Whether visibility was chosen: else that of the first layer counts."""

    @property
    def present(self) -> bool:
        """Whether the layer is in the viewer (the user may delete it)."""
        return self.layer is not None and self.layer in self._viewer.layers

    @property
    def opacity(self) -> float:
        """Opacity (0..1) of the layer, also of one that is made later."""
        return self._opacity

    @opacity.setter
    def opacity(self, opacity: float) -> None:
        self._opacity = opacity
        if self.present:
            self.layer.opacity = opacity

    @property
    def shown(self) -> bool:
        """Whether the layer is visible, also one that is made later."""
        return self._shown

    @shown.setter
    def shown(self, shown: bool) -> None:
        self._shown, self._chosen = shown, True
        if self.present:
            self.layer.visible = shown
        self.look_changed.emit()

    def hide(self) -> Callable[[], None]:
        """Hide the layer for a moment; the returned function restores its visibility."""
        layer = self.layer
        visible = self.present and layer.visible
        if visible:
            self._held = True
            layer.visible = False

        def show_again() -> None:
            if visible:
                layer.visible = True
            self._held = False

        return show_again

    def _take(self, layer: Any) -> None:
        """Use this layer from now on."""
        self.layer = layer
        if self._chosen:
            layer.visible = self._shown
        self._shown, self._chosen = bool(layer.visible), True
        self._opacity = float(layer.opacity)
        layer.events.visible.connect(self._on_visible)
        layer.events.opacity.connect(self._on_opacity)

    def _drop(self) -> None:
        """Release the layer; it stays as it is."""
        if self.layer is not None:
            self.layer.events.visible.disconnect(self._on_visible)
            self.layer.events.opacity.disconnect(self._on_opacity)
        self.layer = None

    def _on_visible(self, event: Any = None) -> None:
        if not self._held:
            self._shown = bool(self.layer.visible)
            self.look_changed.emit()

    def _on_opacity(self, event: Any = None) -> None:
        self._opacity = float(self.layer.opacity)
        self.look_changed.emit()
