"""Make the tour: a real window, real strokes, captions; an animated GIF.

``make screenshots`` runs it under Xvfb; the film goes to ``docs/images/tour.gif``. The person who
paints is simulated: corrections are painted where the segmentation differs from the truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget
from real_window import Pixel, RealWindow, spin, wait_for
from scipy import ndimage

from napari_msd import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1120, 680)
SAMPLE = "nuclei_edges"
WIDTH = 900
"""Width of the film, in pixels."""
CAPTION = 46
"""Height of the caption, in pixels of the window."""
N_COLORS = 96
_MOVE_MS, _STROKE_MS = 90, 110
_LETTERS = 22


class Film:
    """Collects pictures with captions and a mouse pointer, each with the time it is shown."""

    def __init__(self, window: RealWindow) -> None:
        self._window = window
        self.frames: list[Image.Image] = []
        self.times: list[int] = []
        self.caption = ""
        self._font = ImageFont.load_default(_LETTERS)

    @property
    def seconds(self) -> float:
        """Length so far."""
        return sum(self.times) / 1000

    def shoot(self, milliseconds: int = 150, *, pressed: bool = False) -> None:
        """Take a picture that is shown for so long."""
        picture = self._window.picture()
        whole = Image.new("RGB", (picture.width, picture.height + CAPTION), "#14161a")
        whole.paste(picture, (0, 0))
        draw = ImageDraw.Draw(whole)
        _draw_pointer(draw, self._window.pointer, pressed=pressed)
        middle = (picture.width / 2, picture.height + CAPTION / 2)
        draw.text(middle, self.caption, "#ffffff", self._font, anchor="mm")
        height = round(whole.height * WIDTH / whole.width)
        self.frames.append(whole.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.times.append(milliseconds)

    def say(self, caption: str, milliseconds: int = 1600) -> None:
        """Show another caption, long enough to be read."""
        self.caption = caption
        self.shoot(milliseconds)

    def rest(self, seconds: float, every: float = 0.5) -> None:
        """Film what happens for a while."""
        for _ in range(round(seconds / every)):
            spin(every)
            self.shoot(round(1000 * every))

    # --- the simulated person ------------------------------------------------------------

    def move_to(self, place: QPoint, steps: int = 4) -> None:
        """Move the pointer."""
        start = self._window.pointer
        for step in range(1, steps + 1):
            self._window.pointer = start + (place - start) * step / steps
            self.shoot(_MOVE_MS)

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Move to a control and press it."""
        self.move_to(self._window.place_of(widget, at))
        self.shoot(200, pressed=True)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at or widget.rect().center())
        spin(0.25)
        self.shoot(300)

    def stroke(self, pixels: Sequence[Pixel]) -> None:
        """Paint, or draw with the lasso."""
        window = self._window
        layer = window.controller.chosen.annotation
        self.move_to(window.place_of_pixel(layer, pixels[0]), steps=2)
        window.drag(layer, pixels, lambda: self.shoot(_STROKE_MS, pressed=True))
        spin(0.15)
        self.shoot(150)

    def save(self, path: Path) -> None:
        """Write the film, with one palette for all pictures."""
        few = self.frames[:: max(1, len(self.frames) // 12)]
        sheet = Image.new("RGB", (few[0].width, few[0].height * len(few)))
        for index, frame in enumerate(few):
            sheet.paste(frame, (0, index * frame.height))
        palette = sheet.quantize(N_COLORS, dither=Image.Dither.NONE)
        frames = [
            frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames
        ]
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=self.times,
            loop=0,
            optimize=False,
            disposal=1,
        )


def _draw_pointer(draw: ImageDraw.ImageDraw, at: QPoint, *, pressed: bool) -> None:
    x, y = at.x(), at.y()
    if pressed:
        draw.ellipse((x - 11, y - 11, x + 11, y + 11), outline="#ffe14d", width=3)
    arrow = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]
    draw.polygon([(x + a, y + b) for a, b in arrow], fill="#ffffff", outline="#000000")


def correction(found: np.ndarray, truth: np.ndarray) -> tuple[int, list[Pixel]]:
    """Where the segmentation is most wrong: the class there, and a short stroke of it."""
    wrong = ndimage.binary_erosion((found != truth) & (truth > 0))
    parts, n = ndimage.label(wrong)
    if not n:
        return 2, []
    sizes = ndimage.sum_labels(wrong, parts, range(1, n + 1))
    part = parts == 1 + int(np.argmax(sizes))
    pixels = np.argwhere(part)
    value = int(truth[tuple(pixels[len(pixels) // 2])])
    low, high = pixels[0], pixels[-1]
    middle = pixels[len(pixels) // 2]
    ends = [tuple(map(float, p)) for p in (low, middle, high)]
    return value, [(row, column) for row, column in ends]


def tour(window: RealWindow, film: Film, image: Path) -> None:
    """Walk through the window once."""
    panel, controller = window.panel, window.controller
    sample = samples.load(SAMPLE)
    truth = sample.truth
    assert truth is not None
    film.say("napari-msd: an empty window tells how to start.", 2200)
    # the dialog belongs to the system: answer for it
    QFileDialog.getOpenFileNames = staticmethod(lambda *args: ([str(image)], ""))
    film.caption = "Open an image."
    film.click(panel.open_image_button)
    window.viewer.reset_view()
    film.rest(1.0)
    film.caption = "The next step is always here: make a layer for strokes."
    film.click(panel.next_button)
    film.say("Paint one stroke of background …", 900)
    brush = controller.chosen.annotation
    brush.brush_size = 6
    background, nucleus, edge = (stroke_of(truth, value) for value in (1, 2, 3))
    film.stroke(background)
    film.say("… and one of what you look for.", 700)
    rows = panel.class_list
    film.click(rows.viewport(), rows.visualItemRect(rows.item(1)).center() - QPoint(60, 0))
    film.stroke(nucleus)
    film.caption = "As many classes as you like; double-click names one."
    film.click(panel.add_class_button)
    controller.classes.rename(2, "nucleus")
    controller.classes.rename(3, "edge")
    brush.brush_size = 3
    film.stroke(edge)
    film.caption = "Press Live: it learns in the background, and answers at once."
    film.click(panel.live_button)
    wait_for(lambda: controller.overlay.has_content and controller.weights.model is not None)
    film.rest(5.0)
    film.caption = "Paint where it is wrong; the network learns while you paint."
    for _ in range(2):
        value, pixels = correction(controller.overlay.layer.data, truth)
        if pixels:
            controller.annotation_tools.pick(value)
            film.stroke(pixels)
            film.rest(1.5)
    film.caption = "Show me goes to where a stroke helps most."
    film.click(panel.show_me_button)
    wait_for(lambda: window.session.marker.ring is not None, 15)
    film.rest(2.0)
    window.viewer.reset_view()
    film.caption = "Where is it uncertain?"
    film.click(panel.uncertainty_button)
    layer = window.session.layers.uncertainty
    wait_for(lambda: bool(layer.layer.data.any()), 20)
    film.rest(2.5)
    film.click(panel.segmentation_button)
    film.caption = "Draw around what is right: it becomes strokes, too."
    film.click(panel.lasso_button)
    film.stroke(circle_around(truth))
    film.rest(2.0)
    film.caption = "An eye for every class; H shows the image alone."
    rect = rows.visualItemRect(rows.item(0))
    eye = QPoint(rect.right() - 11, rect.center().y())
    film.click(rows.viewport(), eye)
    film.rest(1.0)
    film.click(rows.viewport(), eye)
    film.caption = "Switch Live off, then Predict all: every plane, by the best network."
    film.click(panel.live_button)
    wait_for(lambda: not controller.stopping, 20)
    film.click(panel.predict_all_button)
    wait_for(lambda: not controller.work, 60)
    film.rest(1.5)
    film.say("Export labels for Fiji and napari, or go on with the next image.", 2500)


def stroke_of(truth: np.ndarray, value: int) -> list[Pixel]:
    """A stroke inside the thickest part of a class; along the outline of a thin one."""
    inside = truth == value
    depth = ndimage.distance_transform_edt(inside)
    margin = 20  # away from the border, where one sees it
    depth[:margin] = depth[-margin:] = depth[:, :margin] = depth[:, -margin:] = 0
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    reach = 0.7 * float(depth.max())
    if reach > 6:
        return [(float(row), float(column + t * reach)) for t in (-1, -0.3, 0.3, 1)]
    path, here = [(float(row), float(column))], np.array([row, column])
    left = np.argwhere(inside & (depth > 0))
    for _ in range(8):  # from pixel to pixel of the class, some steps away each time
        distance = np.linalg.norm(left - here, axis=1)
        near = left[(distance > 3) & (distance < 6)]
        if not len(near):
            break
        here = near[int(np.argmax([min(np.hypot(*(p - q)) for q in path) for p in near]))]
        path.append((float(here[0]), float(here[1])))
    return path


def circle_around(truth: np.ndarray) -> list[Pixel]:
    """An outline around a nucleus of middle size."""
    parts, n = ndimage.label(truth == 2)
    sizes = ndimage.sum_labels(truth == 2, parts, range(1, n + 1))
    boxes = ndimage.find_objects(parts)
    height, width = truth.shape
    for index in np.argsort(sizes)[::-1][1:]:
        rows, columns = boxes[int(index)]
        if min(rows.start, columns.start) > 8 and rows.stop < height - 8 < height:
            if columns.stop > width - 8:
                continue
            middle = ((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2)
            radii = ((rows.stop - rows.start) / 2 + 4, (columns.stop - columns.start) / 2 + 4)
            angles = np.linspace(0, 2 * np.pi, 13)
            return [
                (middle[0] + radii[0] * np.sin(a), middle[1] + radii[1] * np.cos(a)) for a in angles
            ]
    return []


def main() -> None:
    """Film the tour."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=IMAGES)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "nuclei.png"
        Image.fromarray(samples.load(SAMPLE).image).save(path)
        window = RealWindow(SIZE)
        film = Film(window)
        tour(window, film, path)
        target = arguments.folder / "tour.gif"
        film.save(target)
        print(f"{target}: {film.seconds:.0f} s, {target.stat().st_size / 1e6:.1f} MB")
        window.viewer.close()
        QApplication.processEvents()


if __name__ == "__main__":
    main()
