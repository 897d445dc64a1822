"""The buttons below the line: export, save, load, copy, start over."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_msd.errors import MSDError
from napari_msd.gui import files
from napari_msd.gui import layers as look
from napari_msd.gui.colors import label_colormap
from napari_msd.gui.desk import FOUND, FRESH
from napari_msd.gui.result_layers import undisturbed
from napari_msd.io.model_file import ModelRecord, read
from napari_msd.session import KeptModel, match_by_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_msd.gui.classes import ClassInfo
    from napari_msd.gui.controller import Controller


class Results(QObject):
    """Takes results home and brings models back; the functions with a path ask nothing."""

    def __init__(self, controller: Controller, window: QWidget) -> None:
        super().__init__(window)
        self._controller, self._window = controller, window
        self._forgotten: KeptModel | None = None
        self._forgotten_labels: Any = None
        controller.work_changed.connect(self._on_work)
        self._writer = files.BackgroundWriter(self)
        self._writer.done.connect(lambda text: controller.notice.emit("info", text))
        self._writer.failed.connect(lambda text: controller.notice.emit("error", text))

    @property
    def can_bring_back(self) -> bool:
        """Whether Start over can still be undone: until a new network was made and Live is off."""
        forgotten, network = self._forgotten, self._controller.network
        return (
            forgotten is not None
            and (network.kept is None or self._controller.live)
            and forgotten.preset == network.settings.preset
        )

    def _on_work(self) -> None:
        if not self._controller.live and self._controller.network.kept is not None:
            self._forgotten = self._forgotten_labels = None

    # --- labels --------------------------------------------------------------------------

    def ask_export(self) -> None:
        """Ask where to, then export."""
        if self._segmentation() is None:
            return
        path = files.ask_save_path(
            self._window, "Export labels", f"{self._stem()}-labels.tif", files.LABEL_FILTERS
        )
        if path is not None:
            self.export_labels(path)

    def export_labels(self, path: Path) -> None:
        """Write the segmentation in the background; the outcome is said in the status label."""
        layer, controller = self._segmentation(), self._controller
        if layer is None:
            return
        controller.overlay.flush()
        names, image = controller.classes.names, controller.image
        self._writer.run(
            lambda: files.write_labels(path, layer, names, image), f"Labels saved as {path.name}."
        )

    def copy_segmentation(self) -> None:
        """Put a copy of the segmentation, free to be edited, below the annotation."""
        source, controller = self._segmentation(), self._controller
        if source is None:
            return
        controller.overlay.flush()
        layers = controller.viewer.layers
        copy = Labels(
            source.data.copy(),
            name=look.free_name(f"{source.name} copy", {layer.name for layer in layers}),
            colormap=label_colormap(controller.classes.colors, spare=9),
            opacity=source.opacity,
            **look.placement(source),
        )
        controller.classes.save_to(copy)
        with undisturbed(controller.viewer):
            layers.insert(list(layers).index(source) + 1, copy)
        controller.notice.emit("info", f"The copy “{copy.name}” can be edited.")

    def _segmentation(self) -> Any:
        overlay = self._controller.overlay
        if overlay.present and overlay.has_content:
            return overlay.layer
        self._controller.notice.emit(
            "error", "There is no segmentation yet: press Live, Update once or Predict all first."
        )
        return None

    # --- models --------------------------------------------------------------------------

    def ask_save_model(self) -> None:
        """Ask where to, then save."""
        if self._model() is None:
            return
        path = files.ask_save_path(
            self._window, "Save model", f"{self._stem()}.safetensors", files.MODEL_FILTER
        )
        if path is not None:
            self.save_model(path)

    def save_model(self, path: Path) -> None:
        """Write the best network, with class names, colours and pixel size."""
        model, controller = self._model(), self._controller
        if model is None:
            return

        def save() -> None:
            table = controller.classes
            record = files.model_for_saving(
                model, table.names, table.colors, controller.image, controller.network.history
            )
            written = record.write(path)
            controller.notice.emit("info", f"Model saved as {written.name}.")

        self._try(save)

    def _model(self) -> bytes | None:
        model = self._controller.model
        if model is None:
            self._controller.notice.emit(
                "error", "There is no network to save yet: press Live or Update once first."
            )
        return model

    def ask_load_model(self) -> None:
        """Ask for a file, then load it."""
        path = files.ask_open_path(self._window, "Start from model", files.MODEL_FILTER)
        if path is not None:
            self.load_model(path)

    def load_model(self, path: Path) -> None:
        """Go on from a saved network, on this image, with its class names and colours."""
        self._try(lambda: self._load(path))

    def _load(self, path: Path) -> None:
        controller = self._controller
        record = read(path)
        if controller.image is not None:
            record.require_channels(look.n_channels(controller.image))
        painted = {info.value: info.name for info in controller.classes if _chosen(info)}
        record = match_by_name(record, painted)
        self._adopt_classes(record)
        controller.start_from(record, path.name)
        names = ", ".join(record.class_names.values())
        text = f"Started from {path.name} ({names}): Predict all uses it, Live trains it on."
        others = [
            f"class {info.value} is “{info.name}” there and “{painted[info.value]}” here"
            for info in record.classes
            if painted.get(info.value, info.name).casefold() != info.name.casefold()
        ]
        level = "warning" if others else "info"
        controller.notice.emit(level, f"{text} Mind: {'; '.join(others)}." if others else text)

    def _adopt_classes(self, record: ModelRecord) -> None:
        table = self._controller.classes
        for info in record.classes:
            if info.value not in table:
                table.add(info.value, info.name, info.color)
            elif not _chosen(table[info.value]):
                table.rename(info.value, info.name)
                with suppress(ValueError):
                    table.recolor(info.value, info.color)

    # --- the network itself --------------------------------------------------------------

    def start_over(self) -> None:
        """Forget the network and keep the strokes; pressed again, it is brought back."""
        controller = self._controller
        if self.can_bring_back:
            kept, self._forgotten = self._forgotten, None
            labels, self._forgotten_labels = self._forgotten_labels, None
            assert kept is not None  # or there were nothing to bring back
            controller.use_model(kept)
            controller.overlay.restore(labels)
            controller.notice.emit("info", "The network is back as it was.")
            return
        self._forgotten, self._forgotten_labels = controller.start_over()
        if self._forgotten is None:
            text = "There is no network yet; the strokes stay as they are."
        else:
            text = "The network is forgotten, the strokes are not; Bring back undoes it."
        controller.notice.emit("info", text)
        controller.work_changed.emit()

    def _stem(self) -> str:
        image = self._controller.image
        text = image.name if image is not None else "model"
        return "".join(c if c.isalnum() or c in " -_." else "_" for c in text).strip() or "image"

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except MSDError as error:
            self._controller.notice.emit("error", str(error))


def _chosen(info: ClassInfo) -> bool:
    """Whether a class has strokes and a name that a person gave it: it means something here."""
    defaults = {f"class {info.value}", FRESH.get(info.value), FOUND.get(info.value)}
    return info.pixels > 0 and info.name not in defaults
