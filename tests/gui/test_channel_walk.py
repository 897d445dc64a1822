"""Layers come and go, move and change in any order, while somebody works: nothing breaks."""

import random

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from .fake_client import FakeClient

SHAPE = (6, 24, 32)
STEPS = 60


class Walk:
    """Random things that people and other plugins do."""

    def __init__(self, msd, viewer, seed):
        self.msd, self.viewer, self.random = msd, viewer, random.Random(seed)
        self.number = 0

    def step(self):
        names = ["add", "tick", "rename", "hide", "reorder", "move", "axes", "mode", "live"]
        names += ["choose", "new", "paint", "predict", "delete"]
        getattr(self, self.random.choice(names))()
        QApplication.processEvents()

    def images(self):
        return [layer for layer in self.viewer.layers if layer.name.startswith("image")]

    def any_image(self):
        found = self.images()
        return self.random.choice(found) if found else None

    def add(self):
        self.number += 1
        if len(self.images()) < 5:
            blending = self.random.choice(["additive", "translucent"])
            name = f"image {self.number}"
            self.viewer.add_image(np.zeros(SHAPE, np.uint8), name=name, blending=blending)

    def delete(self):
        if (layer := self.any_image()) is not None and self.random.random() < 0.5:
            self.viewer.layers.remove(layer)

    def tick(self):
        choice = self.msd.panel.head.channel_choice
        if choice.isVisibleTo(self.msd.panel):
            row = self.random.randrange(choice.list.count())
            choice.tick(row, self.random.random() < 0.7)

    def rename(self):
        if (layer := self.any_image()) is not None:
            layer.name = f"image {self.random.randrange(100)}"

    def hide(self):
        if (layer := self.any_image()) is not None:
            layer.visible = not layer.visible

    def reorder(self):
        n = len(self.viewer.layers)
        if n > 1:
            self.viewer.layers.move(self.random.randrange(n), self.random.randrange(n))

    def move(self):
        if (layer := self.any_image()) is not None:
            layer.translate = self.random.choice([(0, 0, 0), (0, 0, 0), (0, 3, 3)])

    def axes(self):
        if self.msd.controller.chosen.image is not None:
            self.msd.panel.head.axes_menu.choice(0, self.random.choice("ZTQ")).trigger()

    def mode(self):
        if self.msd.panel.mode_combo.isVisibleTo(self.msd.panel):
            self.msd.panel.mode_combo.setCurrentText(self.random.choice(["2-D", "2.5-D", "3-D"]))

    def live(self):
        self.msd.panel.live_button.click()

    def choose(self):
        combo = self.msd.panel.image_combo
        if combo.count():
            combo.setCurrentIndex(self.random.randrange(combo.count()))

    def new(self):
        if self.msd.controller.chosen.annotation is None:
            self.msd.session.new_annotation()

    def paint(self):
        layer = self.msd.controller.chosen.annotation
        if layer is not None and layer.data.shape == SHAPE:
            layer.paint((2, self.random.randrange(24), self.random.randrange(32)), 1)

    def predict(self):
        if self.msd.client.opened is not None and self.msd.client.live:
            seen = self.msd.client.space.network_input.values
            self.msd.client.keep(b"weights of %d" % seen)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_breaks(viewer, open_widget, qtbot, seed):
    msd = open_widget(FakeClient)
    viewer.window._qt_window.hide()  # the software's OpenGL dies of layers that are removed
    chosen, walk = msd.controller.chosen, Walk(msd, viewer, seed)
    for _ in range(STEPS):
        walk.step()
        present = list(viewer.layers)
        qtbot.waitUntil(lambda: not chosen._check_places.isActive())
        assert all(layer in present for layer in chosen.layers)
        assert chosen.image is None or chosen.image in chosen.layers
        assert msd.panel.live_button.isChecked() is msd.controller.live
        if msd.controller.live:
            assert chosen.problem() is None
            space = msd.controller.network.seen(chosen.space)
            assert msd.client.space.network_input == space.network_input
            kept = msd.client.opened[3]
            assert kept in (None, b"weights of %d" % space.network_input.values)
