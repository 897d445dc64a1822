"""Two channels, and slices with their neighbours, learned by the real trainer."""

import numpy as np

from napari_msd.images.model_file import ModelRecord

SHAPE = (96, 112)


def channels():
    """Each channel alone shows one half of the difference: only both together tell the classes."""
    rng = np.random.default_rng(0)
    red, green = rng.normal(100, 5, (2, *SHAPE))
    red[:, 56:] += 60
    green[48:] += 60
    return np.stack([red, green]).astype(np.float32)


def learned(msd, qtbot):
    msd.panel.live_button.click()
    qtbot.waitUntil(lambda: msd.controller.weights.model is not None, timeout=120_000)
    qtbot.waitUntil(lambda: msd.overlay is not None and msd.overlay.data.any(), timeout=60_000)
    msd.panel.live_button.click()
    qtbot.waitUntil(lambda: not msd.controller.live, timeout=60_000)
    return ModelRecord.from_bytes(msd.controller.weights.model)


def test_two_layers_are_learned_together(viewer, open_widget, qtbot):
    viewer.add_image(channels(), channel_axis=0, name=["red", "green"])
    msd = open_widget()
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.brush_size = 5
    for x in (15, 30, 70, 85, 100):  # classes change with the sum of both
        layer.paint((20, x), 1 if x < 56 else 2)
        layer.paint((70, x), 2 if x < 56 else 1)
    found = learned(msd, qtbot)
    assert found.n_image_channels == 2
    assert found.network_input.mode == "2d"


def test_slices_are_learned_with_their_neighbours(viewer, open_widget, qtbot):
    pixels = np.repeat(channels()[:1], 6, axis=0)
    viewer.add_image(pixels, name="stack", axis_labels=("z", "y", "x"))
    msd = open_widget()
    assert msd.panel.mode_combo.currentText() == "2.5-D"
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.brush_size = 5
    plane = int(viewer.dims.current_step[0])
    for x in (10, 25, 40):
        layer.paint((plane, 48, x), 1)
        layer.paint((plane, 48, x + 60), 2)
    found = learned(msd, qtbot)
    assert (found.network_input.mode, found.context, found.in_channels) == ("2.5d", 1, 3)
    msd.panel.mode_combo.setCurrentText("3-D")
    found = learned(msd, qtbot)
    assert found.ndim == 3
    msd.panel.mode_combo.setCurrentText("2.5-D")
    assert ModelRecord.from_bytes(msd.controller.weights.model).context == 1
