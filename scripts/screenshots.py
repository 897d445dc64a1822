"""Make the documentation's pictures: the real window, really trained.

``make screenshots`` runs it under Xvfb; the pictures go to ``docs/images/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from real_window import RealWindow, spin, wait_for

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Open the sample, train, take pictures of it in both themes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="training before the picture")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--sample", default="nuclei_edges")
    parser.add_argument("--old", type=Path, help="picture of an older window, to stand beside")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    window = RealWindow((1200, 800))
    viewer, panel, controller = window.viewer, window.panel, window.controller

    def shoot(name: str) -> Path:
        spin(0.5)
        path: Path = arguments.folder / f"{name}.png"
        window.picture().save(path, optimize=True)
        print(path)
        return path

    shoot("empty")
    viewer.open_sample("napari-msd", arguments.sample)
    viewer.reset_view()
    panel.class_list.show_picked(2)
    controller.annotation_tools.pick(2)
    shoot("before")
    panel.live_button.click()
    wait_for(lambda: controller.overlay.has_content and controller.weights.model is not None)
    spin(arguments.seconds)
    live = shoot("live-dark")
    viewer.theme = "light"
    panel.sparkline.click()
    shoot("live-light")
    panel.sparkline.click()
    viewer.window.resize(1000, 640)
    shoot("laptop-light")
    viewer.theme = "dark"
    viewer.window.resize(1200, 800)
    panel.menu_button.click()
    shoot("menu")
    panel.menu.hide()
    panel.uncertainty_button.click()
    unsure = window.session.layers.uncertainty
    wait_for(lambda: bool(unsure.layer.data.any()))
    shoot("uncertainty")
    panel.segmentation_button.click()
    panel.show_me_button.click()
    wait_for(lambda: window.session.marker.ring is not None)
    shoot("show-me")
    viewer.reset_view()
    wait_for(lambda: window.session.marker.ring is None)
    panel.history_button.click()
    spin(0.5)
    dialog = window.session.versions.dialog
    dialog.grab().save(str(arguments.folder / "history.png"))
    dialog.close()
    panel.stop_button.click()
    wait_for(lambda: controller.weights.model is not None)
    panel.predict_all_button.click()
    wait_for(lambda: not controller.work)
    shoot("predicted")
    viewer.close()
    if arguments.old is not None:
        beside(arguments.old, live, arguments.folder / "panel-before-after.png")


def beside(before: Path, after: Path, path: Path) -> None:
    """Put two pictures of the window side by side, with captions."""
    pictures = [Image.open(name).convert("RGB") for name in (before, after)]
    gap, caption = 12, 34
    width = sum(picture.width for picture in pictures) + gap
    whole = Image.new("RGB", (width, max(p.height for p in pictures) + caption), "#ffffff")
    draw, left = ImageDraw.Draw(whole), 0
    for picture, text in zip(pictures, ("before", "after"), strict=True):
        whole.paste(picture, (left, caption))
        draw.text((left + 8, 5), text, "#000000", ImageFont.load_default(20))
        left += picture.width + gap
    whole.save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
