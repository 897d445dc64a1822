"""Which layers are the channels that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDialog

from napari_msd.core.errors import ModelFileError
from napari_msd.plugin import texts
from napari_msd.session.texts import MODES
from napari_msd.viewer import layers
from napari_msd.widgets.channel_dialog import ChannelDialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_msd.images.model_file import ModelRecord
    from napari_msd.plugin.channel_picker import ChannelPicker
    from napari_msd.session.controller import Controller


class ModelChannels:
    """Finds the layers for a model: by name, else as the person says, who is asked once.

    Parameters
    ----------
    controller, picker
        Of the window.
    window
        Parent of the dialog.
    """

    def __init__(self, controller: Controller, picker: ChannelPicker, window: QWidget) -> None:
        self._controller, self._picker, self._window = controller, picker, window

    def require_mode(self, record: ModelRecord) -> None:
        """Refuse a model that sees slices on an image that has none.

        Raises
        ------
        ModelFileError
            With a sentence for the user.
        """
        image, space = self._controller.chosen.image, self._controller.chosen.space
        mode = record.network_input.mode
        if image is not None and space is not None and mode not in space.modes:
            raise ModelFileError(
                f"This model works in {MODES[mode]}, but “{image.name}” has no slices; choose a "
                "stack, or say under Axes which axis holds its slices."
            )

    def layers_for(self, record: ModelRecord) -> Sequence[Any] | None:
        """The layers that are the model's channels, in its order; ``None`` if the person cancels.

        Raises
        ------
        ModelFileError
            If there are too few layers; one sentence.
        """
        chosen, wanted = self._controller.chosen, record.n_image_channels
        image: Any = chosen.image
        if layers.is_colour(image):
            record.require_channels(layers.n_channels(image))
            return [image]
        if wanted == 1:
            return [image]
        names = [name.casefold() for name in record.channels]
        if len(chosen.layers) == wanted and (not names or names == _names(chosen.layers)):
            return chosen.layers
        candidates = self._picker.candidates()
        here = _names(candidates)
        if len(candidates) < wanted:
            raise ModelFileError(texts.too_few_channels(wanted, record.channels, image.name))
        if names and len(set(names)) == wanted and all(here.count(name) == 1 for name in names):
            return [candidates[here.index(name)] for name in names]
        asked = record.channels or tuple(f"Channel {i + 1}" for i in range(wanted))
        known = self._controller.memory.channel_maps
        key = asked, tuple(layer.name for layer in candidates)
        if key not in known:
            rows = self._ask(asked, candidates)
            if rows is None:
                return None
            known[key] = rows
        return [candidates[row] for row in known[key]]

    def _ask(self, channels: Sequence[str], candidates: Sequence[Any]) -> tuple[int, ...] | None:
        here = [layer.name for layer in candidates]
        dialog = ChannelDialog(
            texts.MAP_CHANNELS, channels, here, _proposed(channels, here), self._window
        )
        return dialog.rows if dialog.exec() == QDialog.DialogCode.Accepted else None


def _names(found: Sequence[Any]) -> list[str]:
    return [layer.name.casefold() for layer in found]


def _proposed(channels: Sequence[str], here: Sequence[str]) -> list[int]:
    """For each channel the layer of its name, else the first that no other channel has."""
    folded = [name.casefold() for name in here]
    named = [
        folded.index(name.casefold()) if name.casefold() in folded else -1 for name in channels
    ]
    free = iter([row for row in range(len(here)) if row not in named])
    return [row if row >= 0 else next(free) for row in named]
