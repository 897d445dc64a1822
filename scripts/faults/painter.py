"""A person who paints in a real napari window until somebody kills the process.

``python -m faults.painter IMAGE LOG SEED``; `session_faults` calls it. Every step of the brush is
written to LOG at once, as the layer holds it after the step: what is there after the kill is what
a person saw.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import napari
import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from faults.window_session import button, spin
from napari_msd.viewer.canvas import Canvas

Step = tuple[float, tuple[int, int], tuple[int, int], bytes]
"""When, by the monotonic clock; first pixel; rows and columns; their values."""


def main(image: str, log: str, seed: str) -> None:
    """Open the image, paint, switch Live on, and go on painting for ever."""
    rng = np.random.default_rng(int(seed))
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1200, 800)
    viewer.open(image, plugin="napari")
    _, widget = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
    spin(0.5)
    viewer.reset_view()
    panel = widget.session.panel
    button(panel, "new_annotation_button").click()
    layer = widget.session.controller.chosen.annotation
    with Path(log).open("wb", buffering=0) as file:
        encode = msgspec.msgpack.Encoder().encode

        def write(event: Any) -> None:
            start = tuple(max(0, int(n)) for n in event.offset)
            stop = [int(o) + n for o, n in zip(event.offset, event.data.shape, strict=True)]
            values = layer.data[start[0] : stop[0], start[1] : stop[1]]
            step = encode((monotonic(), start, values.shape, values.tobytes()))
            file.write(len(step).to_bytes(4, "little") + step)

        layer.events.labels_update.connect(write)
        for number in range(1_000_000):
            layer.selected_label = 1 + number % 2
            ends = rng.uniform(0.1, 0.9, (2, 2)) * layer.data.shape
            _stroke(Canvas(viewer, panel), layer, ends, int(rng.integers(5, 60)))
            if number == 1:
                button(panel, "live_button").click()
            print("painted", flush=True)
            spin(float(rng.uniform(0, 0.3)))


def _stroke(canvas: Canvas, layer: Any, ends: np.ndarray, steps: int) -> None:
    """Press, drag, release on the canvas."""
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    widget = canvas.widget
    assert widget is not None

    def send(kind: QEvent.Type, pixel: np.ndarray, pressed: Any, held: Any) -> None:
        place = canvas.position(layer, tuple(pixel), widget)
        screen = QPointF(widget.mapToGlobal(place.toPoint()))
        modifier = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(widget, QMouseEvent(kind, place, screen, pressed, held, modifier))
        spin(0.005)

    first, *rest = (ends[0] + (ends[1] - ends[0]) * t for t in np.linspace(0, 1, steps))
    send(QEvent.Type.MouseMove, first, none, none)
    send(QEvent.Type.MouseButtonPress, first, left, left)
    for pixel in rest:
        send(QEvent.Type.MouseMove, pixel, none, left)
    send(QEvent.Type.MouseButtonRelease, ends[1], left, none)


if __name__ == "__main__":
    main(*sys.argv[1:])
