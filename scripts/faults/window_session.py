"""A napari window with the panel on an image, for the faults that need one."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

import napari
import numpy as np
import psutil
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_msd.storage.elsewhere import VARIABLE

_sessions = TemporaryDirectory(ignore_cleanup_errors=True)
os.environ.setdefault(VARIABLE, _sessions.name)  # nobody goes on with what is painted here

PATIENCE = 240.0
"""Seconds until a wait is given up."""


def button(panel: QWidget, name: str) -> QAbstractButton:
    """A button of the panel."""
    found = panel.findChild(QAbstractButton, name)
    assert found is not None, name
    return found


def spin(seconds: float) -> None:
    """Let the event loop run."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Let the event loop run until something is so."""
    end = time.perf_counter() + PATIENCE
    while not done():
        if time.perf_counter() > end:
            raise TimeoutError(f"{what} did not come")
        spin(0.02)


@contextmanager
def session(data: Any) -> Iterator[tuple[Any, Any]]:
    """A napari window with an image and the panel; yields the viewer and the session."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1200, 800)
    viewer.add_image(data, name="cells", contrast_limits=(0, 300))
    _, widget = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
    spin(0.5)
    viewer.reset_view()
    yield viewer, widget.session


def image_of(side: int) -> np.ndarray:
    """Two halves with noise, uint16."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(80, 120, (side, side), dtype=np.uint16)
    pixels[:, side // 2 :] += 80
    return pixels


def stack_of(planes: int, side: int) -> Any:
    """The same as a stack that is computed plane by plane when it is read."""
    import dask.array as da

    plane = image_of(side)

    def read(block_info: Any = None) -> np.ndarray:
        number = block_info[None]["chunk-location"][0]
        return np.roll(plane, 50 * number, axis=0)[None]

    return da.map_blocks(read, chunks=((1,) * planes, (side,), (side,)), dtype=np.uint16)


def paint_halves(msd: Any) -> Any:
    """Make an annotation and paint both classes; returns the layer."""
    button(msd.panel, "new_annotation_button").click()
    layer = msd.controller.chosen.annotation
    *leading, rows, columns = layer.data.shape
    middle = [n // 2 for n in leading]
    layer.brush_size = 8
    for value, column in ((1, columns // 4), (2, 3 * columns // 4)):
        with layer.block_history():
            for row in range(rows // 2, rows // 2 + 200, 5):
                layer.paint((*middle, min(row, rows - 1), column), value)
                spin(0)
    return layer


def held(trainer: int | None = None) -> dict[str, float]:
    """MB, threads and handles of this process, and of the trainer's."""
    _give_back_freed_memory()
    found, processes = {}, [("viewer", psutil.Process())]
    if trainer is not None:
        processes.append(("trainer", psutil.Process(trainer)))
    for name, process in processes:
        handles = process.num_handles() if psutil.WINDOWS else process.num_fds()
        found[f"{name} MB"] = process.memory_info().rss / 1e6
        found[f"{name} threads"] = process.num_threads()
        found[f"{name} handles"] = handles
    return found


def _give_back_freed_memory() -> None:
    """Linux keeps what was freed for later use; here only what is in use is to be counted."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)
