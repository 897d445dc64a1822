"""Saving labels and models, and loading models.

Dialogs are separate from the functions that take a path, so that scripts and tests can call
the latter. Large stacks take long to write, so another thread does it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import MSDError
from napari_msd.images.model_file import ModelRecord
from napari_msd.plugin import texts
from napari_msd.viewer.axes import axes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_msd.core.space import Space
    from napari_msd.document import History

LABEL_FILTERS = "TIFF (*.tif *.tiff);;PNG (*.png);;NumPy (*.npy);;OME-Zarr (*.zarr)"
LARGE_FILTERS = "OME-Zarr (*.zarr);;TIFF (*.tif *.tiff);;NumPy (*.npy)"
MODEL_FILTER = "MS-D model (*.safetensors)"


def ask_save_path(parent: QWidget, title: str, suggested: str, filters: str) -> Path | None:
    """Ask where to save; ``None`` if the user cancels."""
    text, chosen = QFileDialog.getSaveFileName(parent, title, suggested, filters)
    if not text:
        return None
    path = Path(text)
    if not path.suffix:
        path = path.with_name(path.name + chosen.split("*")[1].split()[0].rstrip(")"))
    return path


def ask_open_path(parent: QWidget, title: str, filters: str) -> Path | None:
    """Ask which file to open; ``None`` if the user cancels."""
    text, _ = QFileDialog.getOpenFileName(parent, title, "", filters)
    return Path(text) if text else None


class BackgroundWriter(QObject):
    """Runs one function at a time that writes, or takes long, on another thread.

    `done` and `failed` carry a sentence for the user, on the Qt thread.
    """

    done = Signal(str)
    failed = Signal(str)
    _finished = Signal(bool, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._finished.connect(self._report, Qt.ConnectionType.QueuedConnection)
        self._thread: Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self._thread is not None

    def run(self, work: Callable[[], object], said: str) -> None:
        """Run `work`; `said` is the sentence to show when it is done."""
        finished = self._finished

        def task() -> None:
            ok, text = True, said
            try:
                work()
            except MSDError as error:
                ok, text = False, str(error)
            except MemoryError:
                ok, text = False, texts.TOO_LARGE
            except Exception as error:
                ok, text = False, f"The file could not be written: {error}"
            try:
                finished.emit(ok, text)
            except RuntimeError:  # the window was closed; the file is complete
                return

        # not a daemon: closing napari must not truncate the file
        self._thread = Thread(target=task, name="napari-msd-export")
        self._thread.start()

    def _report(self, ok: bool, text: str) -> None:
        self._thread = None
        (self.done if ok else self.failed).emit(text)


Calibration = tuple[tuple[float, ...], tuple[str, ...], str]
"""Pixel size, units and axis letters of an image, slowest axis first."""


def write_labels(
    path: Path,
    labels: NDArray[np.uint8],
    names: dict[int, str],
    about: Calibration,
    colors: dict[int, str] | None = None,
) -> None:
    """Write a segmentation with its classes and the image's pixel size, units and axes."""
    from napari_msd.images.export import export_labels

    scale, units, axes = about
    export_labels(
        path,
        labels,
        class_names=names,
        class_colors=colors,
        scale=scale,
        units=units,
        axes=axes,
    )


def calibration(image: Any) -> Calibration:
    """Pixel size, units and axes of an image layer."""
    axes = axes_of(image)
    scale = axes.pixel_size or (1.0,) * image.ndim
    return scale, axes.units or ("pixel",) * image.ndim, axes.letters


def model_for_saving(
    model: bytes,
    names: dict[int, str],
    colors: dict[int, str],
    image: Any,
    history: History,
    space: Space | None = None,
) -> ModelRecord:
    """The best weights with names, colours, channels, pixel size and history."""
    record = ModelRecord.from_bytes(model).with_classes(names, colors)
    channels = tuple(map(clean_class_name, (space and space.channel_names) or ()))
    named = len(channels) == record.n_image_channels and all(channels)
    record = replace(record, history=history.past, channels=channels if named else ())
    if image is None:
        return record
    scale, units, axes = calibration(image)
    n = record.ndim
    changes: dict[str, Any] = {"axes": axes}
    if all(unit != "pixel" for unit in units[-n:]):
        changes |= {"pixel_size": scale[-n:], "units": units[-n:]}
    return replace(record, **changes)
