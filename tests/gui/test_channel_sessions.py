"""Sessions bring channels, axes and mode back, also of an array that was split into channels."""

import numpy as np
import pytest
import tifffile

from napari_msd.core.checkpoint import VersionFigures
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Document, History
from napari_msd.document.operations import BindSource, ChooseSettings, PaintBox
from napari_msd.storage import ImageReference, NetworkKey, SessionFile, read

from .fake_client import FakeClient
from .models import record

SHAPE = (6, 64, 80)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cells.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


@pytest.fixture
def ended(file, tmp_path):
    """A session of yesterday on two of three channels, in 2.5-D."""
    session = SessionFile.create(tmp_path / "yesterday.msdsession")
    about = {"path": str(file), "reader": "napari", "axes_said": True}
    numbers = [
        session.add_image(ImageReference(name, "ZYX", SHAPE, 1, "uint8", part=(0, i), **about))
        for i, name in ((2, "GFP"), (0, "DAPI"))
    ]
    space = Space("ZYX", SHAPE, n_channels=2)
    values = np.zeros(SHAPE, np.uint8)
    values[2, 10:14, 10:40], values[2, 50:54, 10:40] = 1, 2
    annotation = session.add_annotation(numbers[0], "strokes", tuple(numbers))
    document = Document(session.journal(annotation))
    settings = Settings.from_preset("quick", mode="2.5d", context=2)
    whole = space.whole(0)
    for operation in (
        BindSource(0, space, "GFP"),
        ChooseSettings(settings),
        PaintBox(whole, values),
    ):
        document.do(operation)
    history = History()
    figures = VersionFigures(100, 0.9, 100, 100, 0, "2026-11-25T10:00:00+00:00")
    model = record(in_channels=10, context=2, settings=settings.to_dict()).to_bytes()
    history.add(model, figures, "GFP")
    session.keep_versions(numbers[0], NetworkKey("quick", "2.5d", 2, tuple(numbers)), history)
    session.choose(annotation)
    session.keep_view({"channels": [{"colormap": "green"}, {"contrast_limits": [3.0, 99.0]}]})
    assert session.close(10)
    return session.path, values


def test_channels_mode_and_axes_come_back(ended, viewer, open_widget, qtbot):
    path, values = ended
    msd = open_widget(FakeClient)
    msd.session.sessions.open(path)
    controller = msd.controller
    qtbot.waitUntil(lambda: controller.chosen.annotation is not None)
    assert [layer.name for layer in controller.chosen.layers] == ["GFP", "DAPI"]
    assert controller.chosen.axes_said
    assert controller.chosen.space.axes == "ZYX"
    assert msd.panel.image_combo.currentText() == "GFP"
    assert msd.panel.mode_combo.currentText() == "2.5-D"
    assert msd.panel.menu.context_spin.value() == 2
    assert controller.weights.model is not None
    assert viewer.layers["GFP"].colormap.name == "green"
    assert tuple(viewer.layers["DAPI"].contrast_limits) == (3, 99)
    np.testing.assert_array_equal(controller.chosen.annotation.data, values)
    pixels = tifffile.imread(viewer.layers["GFP"].metadata["napari_msd_part"].path)
    np.testing.assert_array_equal(viewer.layers["GFP"].data, pixels[2])
    np.testing.assert_array_equal(viewer.layers["DAPI"].data, pixels[0])
    qtbot.waitUntil(lambda: msd.client.opened is not None)
    assert msd.client.space.network_input.values == 10


def test_what_was_chosen_is_saved(file, viewer, open_widget, qtbot):
    viewer.open(file, plugin="napari")
    msd = open_widget(FakeClient)
    msd.panel.head.axes_menu.choice(0, "C").trigger()
    msd.panel.head.axes_menu.choice(0, "Z").trigger()
    qtbot.waitUntil(lambda: msd.panel.mode_combo.currentText() == "2.5-D")
    msd.panel.head.channel_choice.tick(1, False)
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.paint((2, 20, 20), 1)
    layer.paint((2, 40, 40), 2)
    qtbot.waitUntil(lambda: msd.controller.memory.saving.file is not None)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)
    msd.panel.live_button.click()
    msd.client.keep(record(in_channels=6, context=1).to_bytes())
    qtbot.waitUntil(lambda: msd.controller.weights.model is not None)
    msd.panel.mode_combo.setCurrentText("2-D")
    msd.session.sessions.tick()
    saving = msd.controller.memory.saving
    saving.flush()
    assert saving.file.flush(10)
    content = read(saving.file.path)
    assert content.problems == []
    assert [image.reference.part for image in content.images] == [(0, 0), (0, 2)]
    assert all(image.reference.axes_said for image in content.images)
    assert content.annotations[0].channels == (1, 2)
    assert content.annotations[0].document.settings.mode == "2d"
    assert list(content.images[0].histories) == [NetworkKey("quick", "2.5d", 1, (1, 2))]


def test_a_file_that_has_other_axes_by_now_is_told(ended, file, viewer, open_widget, qtbot):
    path, _ = ended
    tifffile.imwrite(file, np.zeros((2, 20, 30), np.uint8), photometric="minisblack")
    msd = open_widget(FakeClient)
    msd.session.sessions.open(path)
    qtbot.waitUntil(lambda: "strokes" in viewer.layers)
    qtbot.waitUntil(lambda: "DAPI" in msd.panel.offers.text)
    assert len(viewer.layers) == 1  # nothing of the other image is left


def test_one_answer_finds_all_channels_of_a_file(
    ended, file, viewer, open_widget, qtbot, tmp_path, monkeypatch
):
    path, _ = ended
    moved = file.rename(tmp_path / "moved.tif")
    msd = open_widget(FakeClient)
    msd.session.sessions.open(path)
    offers, controller = msd.panel.offers, msd.controller
    qtbot.waitUntil(lambda: "“DAPI” is not at" in offers.text)
    monkeypatch.setattr(
        "napari_msd.plugin.session_opening.QFileDialog.getOpenFileName",
        lambda *_: (str(moved), ""),
    )
    next(button for button in offers.buttons if button.text() == "Choose file …").click()
    assert [layer.name for layer in controller.chosen.layers] == ["GFP", "DAPI"]
    assert controller.chosen.annotation is viewer.layers["strokes"]
    assert controller.weights.model is not None
    assert msd.panel.mode_combo.currentText() == "2.5-D"
    assert len(viewer.layers) == 4  # three channels, and the strokes
