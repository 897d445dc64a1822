"""Make the documentation's pictures: the real window, really trained.

``make screenshots`` runs it under Xvfb; the pictures go to ``docs/images/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import napari
from qtpy.QtCore import QEventLoop, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def spin(seconds: float) -> None:
    """Let the event loop run."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait_for(done: Callable[[], bool], seconds: float = 120) -> None:
    """Let the event loop run until something is so."""
    end = perf_counter() + seconds
    while not done() and perf_counter() < end:
        spin(0.05)


def main() -> None:
    """Open the sample, train, take pictures of it in both themes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="training before the picture")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--sample", default="nuclei_edges")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1200, 800)
    viewer.open_sample("napari-msd", arguments.sample)
    _, widget = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
    spin(0.5)
    viewer.reset_view()
    panel, controller = widget.session.panel, widget.session.controller

    def shoot(name: str) -> None:
        spin(0.5)
        path = arguments.folder / f"{name}.png"
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    panel.class_list.show_picked(2)
    controller.annotation_tools.pick(2)
    shoot("before")
    panel.live_button.click()
    wait_for(lambda: controller.overlay.has_content)
    spin(arguments.seconds)
    shoot("live-dark")
    viewer.theme = "light"
    shoot("live-light")
    viewer.window.resize(1024, 640)
    shoot("laptop-light")
    viewer.theme = "dark"
    viewer.window.resize(1200, 800)
    panel.uncertainty_button.click()
    unsure = widget.session.layers.uncertainty
    wait_for(lambda: bool(unsure.layer.data.any()))
    shoot("uncertainty")
    panel.show_me_button.click()
    wait_for(lambda: "Uncertain here" in panel.status_label.text())
    shoot("show-me")
    panel.uncertainty_button.click()
    viewer.reset_view()
    panel.history_button.click()
    spin(0.5)
    dialog = widget.session.versions.dialog
    dialog.grab().save(str(arguments.folder / "history.png"))
    dialog.close()
    panel.stop_button.click()
    wait_for(lambda: controller.weights.model is not None)
    panel.predict_all_button.click()
    wait_for(lambda: not controller.work)
    shoot("predicted")
    viewer.close()


if __name__ == "__main__":
    main()
