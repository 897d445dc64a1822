"""How quickly do the panel's controls answer while a network trains? Aim: 100 ms.

Each control is pressed several times on a 512 x 512 image with Live on. The time ends when the
event loop has handled everything that the press caused, the repaint of window and canvas included.
Only the last of these is felt: the press itself never waits for the trainer.

Run: ``xvfb-run -a python benchmarks/controls.py [--times 5]``
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from _gui import Session, machine
from qtpy.QtWidgets import QApplication

from napari_msd.core.box import Box

if TYPE_CHECKING:
    from collections.abc import Callable

AIM_MS = 100


def answer_ms(press: Callable[[], object]) -> float:
    """Milliseconds until everything that a press caused has been done."""
    began = perf_counter()
    press()
    QApplication.processEvents()
    QApplication.processEvents()  # what the first round has queued, such as a repaint
    return 1000 * (perf_counter() - began)


def main() -> None:
    """Press everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    session = Session()
    panel, window, classes = session.window.panel, session.window, session.controller.classes
    session.live(True)
    session.wait_for(
        lambda: session.overlay.has_content and session.controller.weights.model is not None
    )
    session.spin(2)
    # napari adds a layer for it once; after that it is shown and hidden
    first = answer_ms(panel.uncertainty_button.click)
    session.spin(1)
    panel.segmentation_button.click()
    session.spin(1)
    presses: dict[str, Callable[[], object]] = {
        "Uncertainty": panel.uncertainty_button.click,
        "Segmentation": panel.segmentation_button.click,
        "Image": panel.image_button.click,
        "Segmentation again": panel.segmentation_button.click,
        "Erase": panel.erase_button.click,
        "Paint": panel.paint_button.click,
        "Undo": panel.undo_button.click,
        "Redo": panel.redo_button.click,
        "Eye of a class": lambda: classes.show(1, not classes[1].visible),
        "Opacity": lambda: panel.opacity_slider.setValue(110 - panel.opacity_slider.value()),
        "Brush size": lambda: panel.brush_slider.setValue(30 - panel.brush_slider.value()),
        "Plot": panel.sparkline.click,
        "This is right (on and off)": panel.lasso_button.click,
        "Menu": panel.menu_button.click,
        "Ring of Show me": lambda: window.marker.show(session.image, Box(0, (9, 9), (99, 99))),
    }
    times: dict[str, list[float]] = {name: [] for name in presses}
    for _ in range(arguments.times):
        for name, press in presses.items():
            times[name].append(answer_ms(press))
            session.spin(0.2)
        panel.menu.hide()
    print(f"{'control':<28}{'median':>8}{'worst':>8}  ms (aim {AIM_MS})")
    print(f"{'Uncertainty, first time':<28}{first:>8.0f}")
    for name, found in times.items():
        print(f"{name:<28}{median(found):>8.0f}{max(found):>8.0f}")
    session.close()


if __name__ == "__main__":
    main()
