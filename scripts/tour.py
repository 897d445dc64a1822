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
from real_window import RealWindow, spin, wait_for
from tour_strokes import Pixel, circle_around, correction, strokes_of

from napari_msd import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1120, 680)
SAMPLE = "nuclei_edges"
WIDTH = 960
"""Width of the film, in pixels."""
CAPTION = 46
"""Height of the caption, in pixels of the window."""
_PALETTE = {Image.Quantize.MEDIANCUT: 150, Image.Quantize.MAXCOVERAGE: 80}
"""Colours by method: of the window, which are common, and of strokes, which few pixels have."""
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
        few = self.frames[:: max(1, len(self.frames) // 24)]
        sheet = Image.new("RGB", (few[0].width, few[0].height * len(few)))
        for index, frame in enumerate(few):
            sheet.paste(frame, (0, index * frame.height))
        palette = Image.new("P", (1, 1))
        palette.putpalette(
            [
                channel
                for method, n in _PALETTE.items()
                for channel in (sheet.quantize(n, method).getpalette() or [])[: 3 * n]
            ]
        )
        frames = [
            frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames
        ]
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=self.times,
            loop=0,
            optimize=True,  # unchanged pixels are not stored again
            disposal=1,
        )


def _draw_pointer(draw: ImageDraw.ImageDraw, at: QPoint, *, pressed: bool) -> None:
    x, y = at.x(), at.y()
    if pressed:
        draw.ellipse((x - 11, y - 11, x + 11, y + 11), outline="#ffe14d", width=3)
    arrow = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]
    draw.polygon([(x + a, y + b) for a, b in arrow], fill="#ffffff", outline="#000000")


def tour(window: RealWindow, film: Film, image: Path) -> None:
    """Walk through the window once."""
    panel, controller = window.panel, window.controller
    sample = samples.load(SAMPLE)
    truth = sample.truth
    assert truth is not None
    film.say("napari-msd: an empty window tells how to start.", 3000)
    # the dialog belongs to the system: answer for it
    QFileDialog.getOpenFileNames = staticmethod(lambda *args: ([str(image)], ""))
    film.say("Open an image.", 900)
    film.click(panel.open_image_button)
    window.viewer.reset_view()
    film.rest(1.0)
    film.say("The next step is always here: make a layer for strokes.", 900)
    film.click(panel.next_button)
    film.say("Paint a little background …", 900)
    brush = controller.chosen.annotation
    brush.brush_size = 6
    background, nuclei, edges = (strokes_of(truth, value) for value in (1, 2, 3))
    for stroke in background:
        film.stroke(stroke)
    film.say("… and a little of what you look for.", 700)
    rows = panel.class_list
    film.click(rows.viewport(), rows.visualItemRect(rows.item(1)).center() - QPoint(60, 0))
    for stroke in nuclei:
        film.stroke(stroke)
    film.say("As many classes as you like; double-click names one.", 900)
    film.click(panel.add_class_button)
    controller.classes.rename(2, "nucleus")
    controller.classes.rename(3, "edge")
    brush.brush_size = 3
    for stroke in edges:
        film.stroke(stroke)
    film.say("Press Live: it learns in the background, and answers at once.", 900)
    film.click(panel.live_button)
    wait_for(lambda: controller.overlay.has_content and controller.weights.model is not None)
    film.rest(5.0)
    film.say("Paint where it is wrong; the network learns while you paint.", 900)
    for _ in range(2):
        value, pixels = correction(controller.overlay.layer.data, truth)
        if pixels:
            controller.annotation_tools.pick(value)
            film.stroke(pixels)
            film.rest(1.5)
    film.say("Draw around what is right: it becomes strokes, too.", 900)
    film.click(panel.lasso_button)
    film.stroke(circle_around(truth))
    film.rest(2.0)
    film.say("Show me goes to where a stroke helps most.", 900)
    film.click(panel.show_me_button)
    wait_for(lambda: window.session.marker.ring is not None, 15)
    film.rest(2.0)
    window.viewer.reset_view()
    film.say("Where is it uncertain?", 900)
    film.click(panel.uncertainty_button)
    layer = window.session.layers.uncertainty
    wait_for(lambda: bool(layer.layer.data.any()), 20)
    film.rest(2.5)
    film.click(panel.segmentation_button)
    film.say("An eye for every class; H shows the image alone.", 900)
    rect = rows.visualItemRect(rows.item(0))
    eye = QPoint(rect.right() - 11, rect.center().y())
    film.click(rows.viewport(), eye)
    film.rest(1.0)
    film.click(rows.viewport(), eye)
    film.say("Switch Live off, then Predict all: every plane, by the best network.", 900)
    film.click(panel.live_button)
    wait_for(lambda: not controller.stopping, 20)
    film.click(panel.predict_all_button)
    wait_for(lambda: not controller.work, 60)
    film.rest(1.5)
    film.say("Export labels for Fiji and napari, or go on with the next image.", 3500)


def as_displayed(image: np.ndarray) -> np.ndarray:
    """The grey values as the sample's layer shows them: most of a nucleus is dark otherwise."""
    low, high = np.percentile(image, (0.5, 99.0))
    grey = np.clip((image - low) / (high - low), 0, 1) ** 0.7
    return (255 * grey).astype(np.uint8)


def main() -> None:
    """Film the tour."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=IMAGES)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "nuclei.png"
        Image.fromarray(as_displayed(samples.load(SAMPLE).image)).save(path)
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
