"""Hours of painting in the window, and the panel closed and opened again."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import numpy as np
import psutil
from qtpy.QtWidgets import QWidget

from faults.window_session import button, held, image_of, paint_halves, session, spin, wait_for
from napari_msd.trainer.messages import ModelKept


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
        button(msd.panel, "live_button").click()
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
                result["samples"].append({"when": marks[number], **held(pid)})
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
            live = button(msd.panel, "live_button")
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
                result["samples"].append(held())
            if number < 1 + times:
                _, again = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
                spin(0.5)
                msd = again.session
        result["painted"] = int(np.count_nonzero(layer.data))
        result["trainers"] = len(psutil.Process().children())
        viewer.close()
    return result
