"""Starts from a saved model: its classes, channels and mode are matched to what is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_msd.core.errors import MSDError
from napari_msd.images.class_matching import match_by_name
from napari_msd.images.model_file import ModelRecord, read
from napari_msd.plugin import files, texts
from napari_msd.plugin.model_channels import ModelChannels
from napari_msd.session.classes import FOUND_CLASSES, NEW_CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_msd.plugin.channel_picker import ChannelPicker
    from napari_msd.plugin.layer_picker import LayerPicker
    from napari_msd.session.classes import ClassInfo
    from napari_msd.session.controller import Controller


class ModelLoading(QObject):
    """Loads models.

    Parameters
    ----------
    controller, picker, channels
        Of the window.
    window
        Parent of dialogs.
    """

    def __init__(
        self,
        controller: Controller,
        picker: LayerPicker,
        channels: ChannelPicker,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._controller, self._window = controller, window
        self._picker, self._channels = picker, channels
        self._of_model = ModelChannels(controller, channels, window)

    def ask_load_model(self) -> None:
        """Ask for a model file, then load it."""
        path = files.ask_open_path(self._window, "Start from model", files.MODEL_FILTER)
        if path is not None:
            self.load_model(path)

    def load_model(self, path: Path) -> None:
        """Continue from a saved network on this image, with its class names and colours.

        Asks only which layers are its channels, if their names do not say so.
        """
        try:
            self._load(path)
        except MSDError as error:
            self._controller.notices.error(str(error))

    def _load(self, path: Path) -> None:
        controller = self._controller
        record = read(path)
        if controller.chosen.image is not None and not self._choose_channels(record):
            return
        painted = {info.value: info.name for info in controller.classes if _chosen(info)}
        record = match_by_name(record, painted)
        self._adopt_classes(record)
        controller.weights.start_from(record, path.name)
        others = [
            texts.class_differs(info.value, info.name, painted[info.value])
            for info in record.classes
            if painted.get(info.value, info.name).casefold() != info.name.casefold()
        ]
        level = "warning" if others else "info"
        controller.notices.notice.emit(
            level, texts.model_loaded(path.name, list(record.class_names.values()), others)
        )

    def _adopt_classes(self, record: ModelRecord) -> None:
        self._controller.classes.adopt(
            {info.value: info.name for info in record.classes},
            {info.value: info.color for info in record.classes},
            free=lambda info: not _chosen(info),
        )

    def _choose_channels(self, record: ModelRecord) -> bool:
        """Choose the layers that the model wants; False if the person cancels."""
        self._of_model.require_mode(record)
        layers = self._of_model.layers_for(record)
        if layers is None:
            return False
        if tuple(layers) != self._controller.chosen.layers:
            self._channels.choose(layers)
            image = self._controller.chosen.image
            self._picker.choose(image=image if image in layers else layers[0])
        return True


def _chosen(info: ClassInfo) -> bool:
    """Whether a class has strokes and a name given by the user, so that it has a meaning."""
    defaults = {f"class {info.value}", NEW_CLASSES.get(info.value), FOUND_CLASSES.get(info.value)}
    return info.pixels > 0 and info.name not in defaults
