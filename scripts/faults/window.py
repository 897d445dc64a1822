"""The real window: every control pressed, hours of painting, the close; in a process of its own.

``python -m faults.window press|press-stack|paint|reopen`` prints what it measured as JSON;
`window_faults` calls it.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import napari
import numpy as np
import psutil
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QWidget,
)

from napari_msd.trainer.messages import ModelKept

PATIENCE = 240.0
TICK_MS = 5


class LoopWatch:
    """Finds the longest time in which the event loop did not turn.

    A timer that ticks every few milliseconds is late by as much as anything blocked the loop.
    """

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)
        self._last = self._last_cpu = 0.0
        self.worst = self.worst_cpu = 0.0
        self.restart()

    def restart(self) -> None:
        """Measure from now on."""
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self.worst = self.worst_cpu = 0.0

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        if now - self._last > self.worst:
            self.worst, self.worst_cpu = now - self._last, cpu - self._last_cpu
        self._last, self._last_cpu = now, cpu


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
    msd.panel.findChild(QAbstractButton, "new_annotation_button").click()
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


# --- every control --------------------------------------------------------------------------


class Answers:
    """Answers what would wait for a person: file dialogs, questions, menus."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        QFileDialog.getSaveFileName = staticmethod(self._save)
        QFileDialog.getOpenFileName = staticmethod(self._open)
        self._timer = QTimer()
        self._timer.timeout.connect(self._answer)
        self._timer.start(50)

    def _save(self, parent: Any, title: str, suggested: str, filters: str) -> tuple[str, str]:
        self._number += 1
        return str(self._folder / f"{self._number}-{Path(suggested).name}"), filters

    def _open(self, parent: Any, title: str, suggested: str, filters: str) -> tuple[str, str]:
        models = sorted(self._folder.glob("*.safetensors"))
        return (str(models[-1]) if models else "", filters)

    def _answer(self) -> None:
        if (popup := QApplication.activePopupWidget()) is not None:
            popup.close()
        modal = QApplication.activeModalWidget()
        if isinstance(modal, QMessageBox):
            (modal.defaultButton() or modal.buttons()[0]).click()
        elif isinstance(modal, QDialog):
            modal.reject()


def controls_of(panel: QWidget) -> list[tuple[str, Callable[[], None]]]:
    """What a person can press in the panel now, with a name each."""
    found: list[tuple[str, Callable[[], None]]] = []
    for widget in panel.findChildren(QWidget):
        if not (widget.isVisible() and widget.isEnabled()):
            continue
        name = widget.objectName()
        if isinstance(widget, QAbstractButton):
            found.append((name or widget.text(), widget.click))
        elif isinstance(widget, QComboBox) and widget.count() > 1:
            found.append(
                (name, lambda w=widget: w.setCurrentIndex((w.currentIndex() + 1) % w.count()))
            )
        elif isinstance(widget, QAbstractSlider) and name and "qt_" not in name:
            found.append((name, lambda w=widget: w.setValue(w.value() + w.singleStep())))
        elif isinstance(widget, QAbstractSpinBox) and name:
            found.append((name, widget.stepUp))
        elif isinstance(widget, QAbstractItemView) and name:
            found.append((f"{name} row", lambda w=widget: w.setCurrentIndex(w.model().index(0, 0))))
        elif isinstance(widget, QLineEdit) and name and "qt_" not in name:
            found.append((name, lambda w=widget: w.setText(w.text() + "x")))
    for menu in panel.findChildren(QMenu):
        for action in menu.actions():
            if action.isEnabled() and not action.isSeparator() and action.menu() is None:
                found.append((f"menu: {action.text()}", action.trigger))
    return [(name, press) for name, press in found if name]


LAST = ("stop_button", "start_over_button", "remove_class_button", "merge_class_button")
"""Pressed after the others, which need what these end."""


def press_everything(data: Any, folder: Path, settle: float) -> dict[str, list[float]]:
    """Press every control of a live session; seconds that the loop stood still, and CPU of them."""
    blocks: dict[str, list[float]] = {}
    with session(data) as (viewer, msd):
        answers, watch = Answers(folder), LoopWatch()

        def measured(name: str, act: Callable[[], object], seconds: float = settle) -> None:
            watch.restart()
            act()
            spin(seconds)
            if watch.worst > blocks.get(name, [0.0])[0]:
                blocks[name] = [watch.worst, watch.worst_cpu]
            for window in QApplication.topLevelWidgets():
                if isinstance(window, QDialog) and window.isVisible():
                    window.close()

        measured("nothing (the window at rest)", lambda: None)
        measured(
            "napari itself: a move of the camera", lambda: setattr(viewer.scene.camera, "zoom", 1.0)
        )
        measured("+, and brush steps", lambda: paint_halves(msd))
        live = msd.panel.findChild(QAbstractButton, "live_button")
        measured("Live switched on", live.click, 3 * settle)
        wait_for(lambda: msd.controller.overlay.has_content, "a segmentation")
        wait_for(lambda: msd.controller.weights.model is not None, "a network")
        layer = msd.controller.chosen.annotation
        middle = [n // 2 for n in layer.data.shape]
        measured("a stroke while Live", lambda: layer.paint(middle, 1), 2 * settle)
        measured("undo while Live", layer.undo, 2 * settle)
        if viewer.dims.ndim > 2:
            measured("another plane", lambda: viewer.dims.set_point(0, 0), 2 * settle)
        pressed: set[str] = set()
        for _ in range(4):  # some controls appear when others are pressed
            new = [it for it in controls_of(msd.panel) if it[0] not in pressed]
            for name, press in sorted(
                new, key=lambda it: LAST.index(it[0]) if it[0] in LAST else -1
            ):
                pressed.add(name)
                if not live.isChecked() and name not in LAST:
                    live.click()
                    spin(settle)
                measured(name, press)
        wait_for(lambda: not msd.results.writing, "the end of the export")
        blocks["window closed while Live"] = _closed(viewer, msd, live)
        del answers
    return blocks


def _closed(viewer: Any, msd: Any, live: Any) -> list[float]:
    """Close the window while the trainer works.

    Seconds that the loop stands still, and of them the plugin's; seconds until the trainer is gone.
    """
    if not live.isChecked():
        live.click()
    wait_for(lambda: msd.controller.connection.client.pid is not None, "the trainer")
    pid = msd.controller.connection.client.pid
    end_of_session, ours = msd.end, []

    def end() -> None:
        began = time.perf_counter()
        end_of_session()
        ours.append(time.perf_counter() - began)

    msd.end = end
    began = time.perf_counter()
    viewer.close()
    QApplication.processEvents()
    took = [time.perf_counter() - began, sum(ours)]
    end = time.perf_counter() + 30
    while psutil.pid_exists(pid) and time.perf_counter() < end:
        time.sleep(0.02)
    return [*took, time.perf_counter() - began]


# --- hours of painting ----------------------------------------------------------------------


def paint_for_long(strokes: int, side: int, rest: float) -> dict[str, Any]:
    """Paint strokes as fast as it goes with Live on; what both processes hold, three times."""
    rng = np.random.default_rng(0)
    result: dict[str, Any] = {"samples": []}
    with session(image_of(side)) as (viewer, msd):
        layer = paint_halves(msd)
        controller = msd.controller
        newest: list[ModelKept] = []

        def hear(event: Any) -> None:
            if isinstance(event, ModelKept):
                newest[:] = [event]

        controller.heard.connect(hear)
        msd.panel.findChild(QAbstractButton, "live_button").click()
        wait_for(lambda: controller.overlay.has_content, "a segmentation")
        marks = {max(1, strokes // 20): "start", strokes // 2: "middle", strokes: "end"}
        began, pid, deaths = time.perf_counter(), controller.connection.client.pid, 0
        for number in range(1, strokes + 1):
            row, column = rng.integers(10, side - 10, 2)
            value = 1 if column < side // 2 else 2
            layer.brush_size = 3
            with layer.block_history():
                for step in range(8):
                    layer.paint((min(row + step, side - 1), column), value)
            if number % 50 == 0:
                layer.undo()
            spin(rest)
            if number in marks:
                now = controller.connection.client.pid
                deaths, pid = deaths + (now != pid), now
                result["samples"].append({"when": marks[number], **_held(pid)})
        result["strokes per second"] = strokes / (time.perf_counter() - began)
        result["trainer restarts"] = deaths
        painted = int(np.count_nonzero(layer.data))
        wait_for(lambda: bool(newest) and newest[0].painted == painted, "the last stroke")
        result["painted"], result["lost"] = painted, painted - newest[0].painted
        viewer.close()
    return result


def reopen(times: int, side: int) -> dict[str, Any]:
    """Close the panel while Live and open it again; what is held after 2 times and after all."""
    result: dict[str, Any] = {"samples": [], "closing": 0.0}
    with session(image_of(side)) as (viewer, msd):
        layer = paint_halves(msd)
        result["painted before"] = int(np.count_nonzero(layer.data))
        for number in range(2 + times):
            msd.picker.choose(annotation=layer)
            live = msd.panel.findChild(QAbstractButton, "live_button")
            live.click()
            wait_for(lambda msd=msd: msd.controller.weights.model is not None, "a network")
            wait_for(
                lambda msd=msd: msd.controller.connection.client.pid is not None, "the trainer"
            )
            (widget,) = [
                w for w in viewer.window._qt_window.findChildren(QWidget) if msd.parent() is w
            ]
            began = time.perf_counter()
            viewer.window.remove_dock_widget(widget)
            spin(0)
            result["closing"] = max(result["closing"], time.perf_counter() - began)
            spin(0.5)
            for thread in threading.enumerate():
                if thread.name.startswith(("trainer-", "pixel-reader")):
                    thread.join(30)
            gc.collect()
            if number in (1, 1 + times):
                result["samples"].append(_held())
            if number < 1 + times:
                _, again = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
                spin(0.5)
                msd = again.session
        result["painted"] = int(np.count_nonzero(layer.data))
        result["trainers"] = len(psutil.Process().children())
        viewer.close()
    return result


def _held(trainer: int | None = None) -> dict[str, float]:
    """MB, threads and handles of this process, and of the trainer's."""
    held, processes = {}, [("viewer", psutil.Process())]
    if trainer is not None:
        processes.append(("trainer", psutil.Process(trainer)))
    for name, process in processes:
        handles = process.num_handles() if psutil.WINDOWS else process.num_fds()
        held[f"{name} MB"] = process.memory_info().rss / 1e6
        held[f"{name} threads"] = process.num_threads()
        held[f"{name} handles"] = handles
    return held


def main() -> None:
    """Run one of the three; prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["press", "press-stack", "paint", "reopen"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--side", type=int, default=6000)
    parser.add_argument("--planes", type=int, default=20)
    parser.add_argument("--strokes", type=int, default=7200)
    parser.add_argument("--settle", type=float, default=1.0)
    arguments = parser.parse_args()
    threading.excepthook = lambda args: (sys.__excepthook__(*args[:3]), sys.exit(3))
    if arguments.what == "paint":
        result: Any = paint_for_long(arguments.strokes, arguments.side, 0.02)
    elif arguments.what == "reopen":
        result = reopen(arguments.strokes, arguments.side)
    else:
        flat = arguments.what == "press"
        data = image_of(arguments.side) if flat else stack_of(arguments.planes, arguments.side)
        result = press_everything(data, arguments.folder, arguments.settle)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
