"""``napari-msd demo``: the plugin's window on a sample image.

Interactively, it opens napari and switches Live on. Unattended, the same window trains for a while
under a virtual display, segments the whole image, exports the labels and compares them with the
sample's ground truth. All of this uses the window's own controls.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from napari_msd.core.errors import TrainerError
from napari_msd.storage.elsewhere import VARIABLE as SESSIONS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLE = "nuclei"
WIDGET = "MS-D Segmentation"
TIMEOUT_S = 120.0
"""Seconds that an unattended run waits for a step that should take a few seconds."""

_TIP = """napari opens on a sample image with strokes, and training is live.
Paint more strokes where the segmentation is wrong (number keys pick the class), and
watch the segmentation follow. Export is at the bottom of the panel, Save model in its menu."""


def run(folder: Path, *, headless: bool = False, seconds: float = 60.0) -> None:
    """Open the demo.

    Parameters
    ----------
    folder
        Folder in which an unattended run saves ``screenshot.png``, ``labels.tif`` and
        ``model.safetensors``.
    headless
        Run unattended; always so where there is no display.
    seconds
        Training time of an unattended run.

    Raises
    ------
    TrainerError
        If an unattended run does not get its segmentation, with the window's status text.
    ExportError
        If its results cannot be written.
    """
    if not _has_display():
        _continue_under_xvfb(folder, seconds)
    if headless:  # nobody goes on with its session
        with TemporaryDirectory(ignore_cleanup_errors=True) as sessions:
            os.environ.setdefault(SESSIONS_VARIABLE, sessions)
            _open(folder, seconds, headless=True)
    else:
        _open(folder, seconds, headless=False)


def _open(folder: Path, seconds: float, *, headless: bool) -> None:
    import napari

    viewer = napari.Viewer(title="napari-msd demo", show=not headless)
    widget = open_sample(viewer)
    _child(widget, "live_button").click()
    if headless:
        try:
            _unattended(viewer, widget, folder, seconds)
        finally:
            viewer.close()
    else:
        print(_TIP)
        napari.run()


def open_sample(viewer: Any) -> Any:
    """Open the sample with strokes and the plugin's dock; return the plugin's widget."""
    viewer.open_sample("napari-msd", SAMPLE)
    image, strokes = viewer.layers[-2:]
    _, widget = viewer.window.add_plugin_dock_widget("napari-msd", WIDGET)
    for name, layer in (("image_combo", image), ("annotation_combo", strokes)):
        combo = _child(widget, name)
        combo.setCurrentIndex(combo.findText(layer.name))
    viewer.layers.selection.active = strokes
    strokes.mode, strokes.brush_size = "paint", 6
    return widget


def _unattended(viewer: Any, widget: Any, folder: Path, seconds: float) -> None:
    from qtpy.QtWidgets import QApplication

    from napari_msd import samples
    from napari_msd.images.atomic import make_folder
    from napari_msd.images.image_files import read_labels

    folder = make_folder(folder)
    labels, model = folder / "labels.tif", folder / "model.safetensors"
    for left_over in (labels, model):
        left_over.unlink(missing_ok=True)
    viewer.window.show()
    viewer.window.resize(1200, 800)  # after show, which restores the last size
    QApplication.processEvents()
    viewer.reset_view()
    session = widget.session
    controller = session.controller

    print(f"Training for {seconds:.0f} seconds ...", flush=True)
    _wait(widget, lambda: controller.overlay.has_content, "show a first segmentation")
    end = time.monotonic() + seconds
    _wait(widget, lambda: time.monotonic() >= end, "train", timeout=seconds + TIMEOUT_S)
    viewer.screenshot(path=str(folder / "screenshot.png"), canvas_only=False, flash=False)

    _child(widget, "stop_button").click()
    _wait(widget, lambda: controller.weights.model is not None, "give its network")
    _child(widget, "predict_all_button").click()
    _wait(widget, lambda: not controller.work, "segment the whole image")
    session.results.export_labels(labels)
    session.results.save_model(model)
    _wait(widget, lambda: labels.exists() and model.exists(), "write labels and model")

    sample = samples.load(SAMPLE)
    assert sample.truth is not None
    scores = samples.iou_per_class(read_labels(labels).data, sample.truth)
    print("IoU of each class against the sample's truth, on the whole image:")
    for value, score in scores.items():
        print(f"  {sample.class_names[value]:<12}{score:.3f}")
    print(f"Screenshot, labels and model are in {folder}")


def _wait(widget: Any, until: Callable[[], bool], what: str, timeout: float = TIMEOUT_S) -> None:
    """Run the window's event loop until a condition is met."""
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + timeout
    while not until():
        if time.monotonic() > deadline:
            said = " ".join(_child(widget, "status_label").text().split())
            raise TrainerError(f"The trainer did not {what} in time: {said}")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        time.sleep(0.005)


def _child(widget: Any, name: str) -> Any:
    """Find a control of the window by its object name."""
    from qtpy.QtWidgets import QWidget

    return widget.findChild(QWidget, name)


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _continue_under_xvfb(folder: Path, seconds: float) -> None:
    """Restart this program unattended on a virtual display; does not return."""
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise TrainerError(
            "There is no display here; install Xvfb (Debian, Ubuntu: apt-get install xvfb), "
            "or run the demo on a desktop."
        )
    program = [sys.executable, "-m", "napari_msd.cli.app", "demo", "--headless"]
    options = ["--output", str(folder), "--seconds", str(seconds)]
    screen = ["-a", "-s", "-screen 0 1400x900x24"]
    os.execv(xvfb, [xvfb, *screen, *program, *options])
