"""What the panel's head says of the image, and the corrections: axes, channels, mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_msd.core.errors import MSDError
from napari_msd.plugin import texts
from napari_msd.session.texts import MODES
from napari_msd.viewer import layers
from napari_msd.viewer.axes import OTHER, axes_of, name_axes
from napari_msd.viewer.result_layers import selection_kept
from napari_msd.viewer.splitting import split_channels
from napari_msd.widgets.plain_text import shortened

if TYPE_CHECKING:
    from napari_msd.core.space import Mode
    from napari_msd.plugin.channel_picker import ChannelPicker
    from napari_msd.plugin.layer_picker import LayerPicker
    from napari_msd.session.controller import Controller
    from napari_msd.widgets.panel import Panel

_SPLIT = "channels"
"""Key of the offer to use an axis as channels."""


class ImageChoices(QObject):
    """Connects axes, channels and mode of the chosen image with the panel's head.

    Parameters
    ----------
    viewer, controller, picker, channels, panel
        Of the window.
    """

    def __init__(
        self,
        viewer: Any,
        controller: Controller,
        picker: LayerPicker,
        channels: ChannelPicker,
        panel: Panel,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._controller = viewer, controller
        self._picker, self._channels, self._panel = picker, channels, panel
        self._shown: object = None
        panel.head.axes_menu.chosen.connect(self.set_axis)
        panel.mode_combo.currentTextChanged.connect(self._on_mode)
        panel.context_spin.valueChanged.connect(controller.set_context)
        controller.strokes.edited.connect(channels.fix)

    def refresh(self) -> None:
        """Show the image in words, its axes, and the mode; cheap if nothing has changed."""
        chosen, network = self._controller.chosen, self._controller.network
        image, space = chosen.image, chosen.space
        if image is None or space is None:
            seen: object = None
        else:
            seen = (image, image.name, space, space.pixel_size, chosen.axes_said)
            seen = (seen, network.mode, network.context)
        if seen == self._shown and seen is not None:
            return
        self._shown = seen
        head = self._panel.head
        if image is None or space is None:
            head.set_image_text("")
            head.show_axes("", (), said=True)
            head.show_mode(None, "")
            self._panel.menu.show_context(None)
            self._panel.offers.withdraw(_SPLIT)
            return
        head.set_image_text(layers.describe(image, space.n_channels))
        head.show_axes(space.axes[:-2], space.shape[:-2], said=chosen.axes_said)
        mode = network.mode
        proposed = network.proposal
        same = mode == proposed.mode
        reason = proposed.reason if same else texts.another_proposed(MODES[proposed.mode])
        head.show_mode(MODES[mode] if space.has_slices else None, reason, proposed.sentence)
        self._panel.menu.show_context(network.context if mode == "2.5d" else None)
        self._offer_to_split(image)

    def set_axis(self, axis: int, letter: str) -> None:
        """Say what an axis of the image is; channels become layers."""
        image, space = self._controller.chosen.image, self._controller.chosen.space
        if image is None or space is None or axis >= space.ndim - 2:
            return
        if letter == "C":
            self.split(axis)
            return
        letters = list(axes_of(image).letters)
        if letter in letters and letter != OTHER:
            letters[letters.index(letter)] = letters[axis]  # the two change places
        letters[axis] = letter
        # all that lies on the image has its axes, so that napari's sliders have one name each
        on_it = [
            layer
            for layer in self._viewer.layers
            if (layers.is_image(layer) or layers.is_labels(layer)) and layers.fits(image, layer)
        ]
        name_axes(on_it, "".join(letters))

    def split(self, axis: int) -> None:
        """Make the channels along an axis layers of their own, and choose them together."""
        image = self._controller.chosen.image
        if image is None:
            return
        name = image.name
        try:
            with self._picker.held(), selection_kept(self._viewer):
                made = split_channels(self._viewer, image, axis)
        except MSDError as error:
            self._controller.notices.error(str(error))
            self._shown = None
            self.refresh()  # the menu's tick goes back
            return
        self._channels.choose(made)
        self._picker.choose(image=made[0])
        self._viewer.layers.remove(image)
        self._controller.notices.info(texts.became_channels(name, len(made)))

    def _offer_to_split(self, image: Any) -> None:
        axes = axes_of(image)
        axis = axes.letters.find("C")
        if not axes.said or axis < 0:
            self._panel.offers.withdraw(_SPLIT)
            return
        number = layers.spatial_shape(image)[axis]
        self._panel.offers.show_offer(
            _SPLIT,
            texts.holds_channels(shortened(image.name, 40), number),
            [("Use them together", lambda: self.split(axis))],
        )

    def _on_mode(self, text: str) -> None:
        modes: dict[str, Mode] = {name: mode for mode, name in MODES.items()}
        if text in modes:
            self._controller.set_mode(modes[text])
            self._shown = None
            self.refresh()
