"""Make the pictures of docs/guide/: channels, stacks, time series, images larger than memory.

``make screenshots`` runs it under Xvfb; the pictures go to ``docs/images/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from real_window import RealWindow, spin, wait_for

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1200, 800)


def main() -> None:
    """Open the samples, train on them, take pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="training before a picture")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    channels(arguments.folder, arguments.seconds)
    stacks(arguments.folder, arguments.seconds)
    time_series(arguments.folder, arguments.seconds)
    huge(arguments.folder, arguments.seconds)


def channels(folder: Path, seconds: float) -> None:
    """Two layers that are learned together, and the list of them."""
    window = RealWindow(SIZE, "two_channels")
    train(window, seconds)
    window.panel.channels_button.click()
    shoot(window, folder / "channels.png")
    window.panel.head.channel_choice.popup.hide()
    window.viewer.close()


def stacks(folder: Path, seconds: float) -> None:
    """A stack in the mode that is proposed for it."""
    window = RealWindow(SIZE, "stack")
    window.viewer.dims.set_current_step(0, 12)
    train(window, seconds)
    shoot(window, folder / "stacks.png")
    window.viewer.close()


def time_series(folder: Path, seconds: float) -> None:
    """Frames, and the menu that says so."""
    window = RealWindow(SIZE, "time_series")
    window.panel.new_annotation_button.click()
    image, strokes = window.controller.chosen.image, window.controller.chosen.annotation
    frame = int(window.viewer.dims.current_step[0])
    pixels = np.asarray(image.data[frame], float)
    strokes.brush_size = 4
    for value, wanted in ((1, pixels < np.percentile(pixels, 20)), (2, pixels > 110)):
        places = np.argwhere(wanted)
        for row, column in places[:: max(1, len(places) // 12)]:
            strokes.paint((frame, int(row), int(column)), value)
    train(window, seconds)
    window.panel.axes_button.click()
    shoot(window, folder / "time-series.png")
    window.panel.head.axes_menu.hide()
    window.viewer.close()


def huge(folder: Path, seconds: float) -> None:
    """An image larger than memory, near and as a whole."""
    window = RealWindow(SIZE, "huge")
    window.panel.new_annotation_button.click()
    strokes, viewer = window.controller.chosen.annotation, window.viewer
    index, middle = int(viewer.dims.current_step[0]), 10000
    near = slice(middle - 250, middle + 250)
    pixels = np.asarray(window.controller.chosen.image.data[0][index, near, near], float)
    strokes.brush_size = 6
    for value, wanted in (
        (1, pixels < np.percentile(pixels, 30)),
        (2, pixels > np.percentile(pixels, 90)),
    ):
        places = np.argwhere(wanted)
        for row, column in places[:: max(1, len(places) // 15)]:
            strokes.paint((index, int(row) + middle - 250, int(column) + middle - 250), value)
    for below in (2, 5):
        strokes.data[index + below, middle : middle + 9, middle : middle + 9] = 1
    pixel = float(strokes.scale[-1])
    viewer.scene.camera.center = (0, middle * pixel, middle * pixel)
    viewer.scene.camera.zoom = 1.2 / pixel
    train(window, seconds)
    shoot(window, folder / "huge-near.png")
    viewer.reset_view()
    spin(seconds)
    shoot(window, folder / "huge-whole.png")
    viewer.close()


def train(window: RealWindow, seconds: float) -> None:
    """Learn from the strokes until there is something to see."""
    controller = window.controller
    window.panel.live_button.click()
    wait_for(lambda: controller.overlay.has_content and controller.weights.model is not None)
    spin(seconds)


def shoot(window: RealWindow, path: Path) -> None:
    """Save the window as it is on screen."""
    spin(0.5)
    window.picture().save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
