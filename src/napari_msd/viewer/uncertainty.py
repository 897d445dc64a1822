"""The network's uncertainty as an Image layer: one hue over the image, stronger where uncertain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.colormaps import Colormap
from psygnal import Signal

from napari_msd.viewer import label_data
from napari_msd.viewer.layers import free_name, placement, spatial_shape
from napari_msd.viewer.result_layers import fits, mark, place_between, selection_kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.core.box import Box
    from napari_msd.trainer.messages import OverlayBlock
    from napari_msd.viewer.view_watcher import ViewWatcher


_CERTAIN = 0.12
"""Below this uncertainty (0..1) nothing is shown: no pixel is ever wholly certain."""
_MAGENTA = (1.0, 0.25, 0.75)
_HUE = Colormap(
    [(*_MAGENTA, 0.0), (*_MAGENTA, 0.0), (*_MAGENTA, 1.0)],
    controls=[0.0, _CERTAIN, 1.0],
    name="napari-msd uncertainty",
)
"""From transparent to magenta, a hue that no class has by default."""


class UncertaintyLayer:
    """A layer named "<image name> uncertainty", uint8: 0 (certain) to 255 (a guess).

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    screen
        Knows which plane is on screen: blocks of others need no repaint.
    """

    removed = Signal()
    """The user deleted the layer."""

    def __init__(self, viewer: Any, screen: ViewWatcher) -> None:
        self._viewer, self._screen = viewer, screen
        viewer.layers.events.removed.connect(self._on_removed)
        self._pending: dict[Box, Any] = {}
        self._image: Any = None
        self.layer: Any = None
        self.opacity = 0.8
        """Opacity (0..1) of a layer that is made later."""

    @property
    def present(self) -> bool:
        """Whether the layer is in the viewer (the user may delete it)."""
        return self.layer is not None and self.layer in self._viewer.layers

    def attach(self, image: Any, annotation: Any) -> None:
        """Make sure that a layer for `image` exists, below `annotation` if any."""
        shape = spatial_shape(image)
        if self.present and self._image is image and self.layer.data.shape == shape:
            if not self.layer.visible:
                self.layer.data = label_data.new_result(shape)  # what it held may be outdated
                self.layer.visible = True
            return
        self.remove()
        data = label_data.new_result(shape)
        taken = {layer.name for layer in self._viewer.layers}
        layer = Image(
            data,
            multiscale=isinstance(data, list),
            rgb=False,
            name=free_name(f"{image.name} uncertainty", taken),
            colormap=_HUE,
            contrast_limits=(0, 255),
            blending="translucent",  # certain pixels are transparent
            opacity=self.opacity,
            metadata=mark(),
            **placement(image),
        )
        with selection_kept(self._viewer):
            self._viewer.layers.insert(place_between(self._viewer, image, annotation), layer)
        self.layer, self._image = layer, image

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity (0..1) of the layer, also of one that is made later."""
        self.opacity = opacity
        if self.present:
            self.layer.opacity = opacity

    def hide(self) -> Callable[[], None]:
        """Hide the layer; the returned function restores its visibility."""
        layer = self.layer
        visible = self.present and layer.visible
        if visible:
            layer.visible = False

        def show_again() -> None:
            if visible:
                layer.visible = True

        return show_again

    def put_away(self) -> None:
        """Make the layer invisible; to remove it and add it again would take napari a second."""
        self._pending.clear()
        if self.present:
            self.layer.visible = False

    def remove(self) -> None:
        """Remove the layer; it can always be computed again."""
        layer, self.layer, self._image = self.layer, None, None
        self._pending.clear()
        if layer is not None and layer in self._viewer.layers:
            with selection_kept(self._viewer):
                self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Release the viewer and remove the layer."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.remove()

    def _on_removed(self, event: Any = None) -> None:
        if self.layer is not None and not self.present:
            self.removed.emit()

    def put(self, block: OverlayBlock) -> None:
        """Queue a block; the next `flush` shows it."""
        if self.layer is not None and block.uncertainty is not None:
            self._pending[block.box] = block.uncertainty

    def flush(self) -> None:
        """Write the queued blocks to the layer and show them."""
        pending, self._pending = self._pending, {}
        if not pending or not self.present:
            return
        data = self.layer.data
        seen = False
        for box, values in pending.items():
            if fits(data.shape, box):  # else it belongs to the previous image
                label_data.write(data, box, values)
                seen = seen or self._screen.shows(box)
        if seen and self._viewer.dims.ndisplay == 2:  # see `show_volume`
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)

    def show_volume(self) -> None:
        """Draw napari's view of the volume again, which takes long."""
        if self.present and self.layer.visible:
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)
