"""A person who paints in a real napari window until somebody kills the process.

Run by `napari_killed.py`: ``python -m tests.faults.painter IMAGE LOG SEED``. Every step of the
brush is written to LOG at once, as the layer holds it after the step: what was written there
before the kill is what a person saw.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from time import monotonic

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from tests.gui.mouse import Mouse


def main(image: str, log: str, seed: str) -> None:
    """Open the image, switch Live on, and paint for ever."""
    rng = np.random.default_rng(int(seed))
    viewer = napari.Viewer()
    viewer.open(image, plugin="napari")
    _, widget = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
    QApplication.processEvents()
    viewer.reset_view()
    panel = widget.session.panel
    panel.new_annotation_button.click()
    layer = widget.session.controller.chosen.annotation
    height, width = layer.data.shape
    mouse = Mouse(viewer, None)
    with Path(log).open("wb", buffering=0) as file:

        def write(event: object) -> None:
            offset, shape = event.offset, event.data.shape  # type: ignore[attr-defined]
            box = tuple(
                slice(max(0, int(o)), int(o) + n) for o, n in zip(offset, shape, strict=True)
            )
            file.write(pickle.dumps((monotonic(), box, layer.data[box].copy())))

        layer.events.labels_update.connect(write)
        for n in range(1_000_000):
            layer.selected_label = 1 + n % 2
            ends = rng.uniform(0.1, 0.9, (2, 2)) * (height, width)
            mouse.stroke(layer, ends[0], ends[1], steps=int(rng.integers(5, 60)))
            if n == 1:
                panel.live_button.click()
                print("painting", flush=True)
            until = monotonic() + float(rng.uniform(0, 0.3))
            while monotonic() < until:
                QApplication.processEvents()


if __name__ == "__main__":
    main(*sys.argv[1:])
