"""The buttons below the line: export, save, copy, start over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QMessageBox

from napari_msd.core.errors import MSDError
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.plugin import files, texts
from napari_msd.plugin.segment_file import SegmentToFile, result_of, sink_of, write_labels
from napari_msd.plugin.segmentation_copy import SegmentationCopy
from napari_msd.session.work_state import LiveState
from napari_msd.viewer.label_data import finest

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_msd.session.connection import CallSoon
    from napari_msd.session.controller import Controller


class Results(QObject):
    """Saves results; the functions with a path ask no questions."""

    writing_changed = Signal()
    """An export has started or ended."""

    def __init__(
        self, viewer: Any, controller: Controller, call_soon: CallSoon, window: QWidget
    ) -> None:
        super().__init__(window)
        self.to_file = SegmentToFile(controller, call_soon, self)
        self.to_file.changed.connect(self.writing_changed)
        self._viewer, self._controller, self._window = viewer, controller, window
        self._forgotten_labels: Any = None
        self._after_predicting: Callable[[], None] | None = None
        self._remark = ""
        """A remark to show when the running export is done."""
        controller.work_ended.connect(self._on_work_ended)
        controller.work_changed.connect(self._on_work_changed)
        self._writer = files.BackgroundWriter(self)
        self._writer.done.connect(self._on_written)
        self._writer.failed.connect(lambda text: self._on_written(text, "error"))
        self._copy = SegmentationCopy(viewer, controller, self)

    @property
    def can_bring_back(self) -> bool:
        """Whether Start over can still be undone: until a new network replaces the old one."""
        return self._controller.network.forgotten is not None

    @property
    def writing(self) -> bool:
        """Whether an export is being written."""
        return self._writer.busy or self.to_file.busy

    # --- labels --------------------------------------------------------------------------

    def ask_export(self) -> None:
        """Ask what to do if the segmentation is incomplete, ask for a path, then export."""
        if self._segmentation() is None:
            return
        wanted = self._ask_completeness("export")
        if not wanted:
            return
        path = self._ask_label_path("Export labels", large=self._is_large())
        if path is None:
            return
        if wanted == "predict" and (self._is_large() or _is_zarr(path)):
            self.to_file.start(path)
        elif wanted == "predict":
            self._predict_then(lambda: self.export_labels(path))
        else:
            self.export_labels(path)

    def ask_segment_to_file(self) -> None:
        """Ask for a path, then segment all of the image into that file."""
        path = self._ask_label_path("Segment all to file", large=True)
        if path is not None:
            self.to_file.start(path)

    def _ask_label_path(self, title: str, *, large: bool) -> Path | None:
        ending = "-labels.ome.zarr" if large else "-labels.tif"
        filters = files.LARGE_FILTERS if large else files.LABEL_FILTERS
        return files.ask_save_path(self._window, title, self._suggested(ending), filters)

    def _is_large(self) -> bool:
        """Whether the segmentation is kept in chunks: never read as a whole."""
        layer = self._controller.overlay.layer
        return isinstance(finest(getattr(layer, "data", None)), ChunkedLabels)

    def export_labels(self, path: Path) -> None:
        """Write the current segmentation; the status label reports the outcome."""
        layer, controller = self._segmentation(), self._controller
        if layer is None:
            return
        if self.writing:
            controller.notices.warn(texts.EXPORT_RUNNING)
            return
        if self._is_large() or _is_zarr(path):
            self._export_in_parts(path, layer)
            return
        labels = controller.overlay.snapshot()  # Live continues: write what is there at the click
        remark = controller.overlay.coverage.completeness.sentence
        said = texts.labels_saved(path.name)
        names, colors = controller.classes.names, controller.classes.colors
        about = files.calibration(controller.chosen.image)
        self._remark = remark
        self._writer.run(
            lambda: files.write_labels(path, np.asarray(labels()), names, about, colors), said
        )
        self.writing_changed.emit()

    def _export_in_parts(self, path: Path, layer: Any) -> None:
        """Write the segmentation part by part, without a copy of it if it is large."""
        controller = self._controller
        space = controller.network.seen(controller.chosen.data.space)
        # never gone on with: the labels may have changed since an export was interrupted
        result = replace(result_of(controller, space, ""), origin=token_hex(8))
        large = self._is_large()
        copy = None if large else controller.overlay.snapshot()
        self._remark = controller.overlay.coverage.completeness.sentence

        def write() -> None:
            labels = finest(layer.data) if copy is None else copy()
            write_labels(sink_of(path, result), labels)

        self._writer.run(write, texts.labels_saved(path.name))
        self.writing_changed.emit()

    def ask_copy(self) -> None:
        """Ask what to do if the segmentation is incomplete, then copy it."""
        if self._segmentation() is None:
            return
        wanted = self._ask_completeness("copy")
        if wanted == "predict":
            self._predict_then(self.copy_segmentation)
        elif wanted:
            self.copy_segmentation()

    def copy_segmentation(self) -> None:
        """Add an editable copy of the segmentation below the annotation."""
        if (source := self._segmentation()) is not None:
            self._copy.make(source)

    def _segmentation(self) -> Any:
        overlay = self._controller.overlay
        if overlay.present and overlay.has_content:
            return overlay.layer
        self._controller.notices.error(texts.NO_SEGMENTATION)
        return None

    def _ask_completeness(self, verb: str) -> str:
        """Return ``as is``, ``predict`` (Predict all first), or "" if the user cancels."""
        self._controller.overlay.flush()
        now = self._controller.overlay.coverage.completeness
        if now.complete:
            return "as is"
        box = QMessageBox(self._window)
        box.setObjectName("incomplete_question")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(texts.INCOMPLETE_TITLE)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(now.sentence)
        role = QMessageBox.ButtonRole
        predict = box.addButton(f"Predict all, then {verb}", role.AcceptRole)
        as_is = box.addButton(f"{verb.capitalize()} as it is", role.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        can_predict = self._controller.weights.model is not None and not self._controller.work
        predict.setEnabled(can_predict)
        box.setDefaultButton(predict if can_predict else as_is)
        box.exec()
        if box.clickedButton() is predict:
            return "predict"
        return "as is" if box.clickedButton() is as_is else ""

    def _predict_then(self, act: Callable[[], None]) -> None:
        self._controller.predict_all()
        if self._controller.work == "predict":
            self._after_predicting = act

    def _on_work_changed(self) -> None:
        if not self.can_bring_back:
            self._forgotten_labels = None

    def _on_work_ended(self, work: str, finished: bool) -> None:
        act, self._after_predicting = self._after_predicting, None
        if act is None:
            learns = self._controller.live and self._controller.state is not LiveState.IDLE
            if finished and work == "predict" and learns:
                # else "1 of 32 planes up to date" a moment later reads as a failure
                self._controller.notices.info(texts.ALL_SEGMENTED_LIVE)
            return
        if finished:
            act()
        else:
            self._controller.notices.warn(texts.PREDICT_ALL_UNFINISHED)

    def _on_written(self, text: str, level: str = "info") -> None:
        if level == "info" and self._remark:
            level, text = "warning", f"{text} {self._remark}"
        self._controller.notices.notice.emit(level, text)
        self.writing_changed.emit()

    # --- models --------------------------------------------------------------------------

    def ask_save_model(self) -> None:
        """Ask for a path, then save the model."""
        if self._model() is None:
            return
        path = files.ask_save_path(
            self._window, "Save model", self._suggested(".safetensors"), files.MODEL_FILTER
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
                model,
                table.names,
                table.colors,
                controller.chosen.image,
                controller.network.history,
                controller.chosen.space,
            )
            written = record.write(path)
            controller.notices.info(texts.model_saved(written.name))

        self._try(save)

    def _model(self) -> bytes | None:
        model = self._controller.weights.model
        if model is None:
            self._controller.notices.error(texts.NO_NETWORK_TO_SAVE)
        return model

    # --- the network itself --------------------------------------------------------------

    def start_over(self) -> None:
        """Discard the network and keep the strokes; pressed again at once, bring it back."""
        controller = self._controller
        if self.can_bring_back:
            labels, self._forgotten_labels = self._forgotten_labels, None
            controller.weights.bring_back()
            controller.overlay.restore(labels)
            controller.notices.info(texts.NETWORK_RESTORED)
            return
        forgotten, self._forgotten_labels = controller.weights.start_over()
        if not forgotten:
            text = texts.NO_NETWORK_TO_DISCARD
        elif controller.live:
            text = texts.DISCARDED_LIVE
        else:
            text = texts.DISCARDED
        controller.notices.info(text)
        controller.work_changed.emit()

    def _suggested(self, ending: str) -> str:
        """A path beside the image's file, or only a name if it has none."""
        image = self._controller.chosen.image
        path = getattr(getattr(image, "source", None), "path", None)
        folder = Path(path).parent if path else Path()
        name = self._stem() + ending
        return str(folder / name) if path and folder.is_dir() else name

    def _stem(self) -> str:
        image = self._controller.chosen.image
        text = image.name if image is not None else "model"
        return "".join(c if c.isalnum() or c in " -_." else "_" for c in text).strip() or "image"

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except MSDError as error:
            self._controller.notices.error(str(error))


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr"
