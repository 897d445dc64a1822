"""File > Open and drag and drop of exported labels: napari chooses the reader."""

import numpy as np
import pytest
import tifffile
from napari.errors import MultipleReaderError
from napari.layers import Image, Labels
from napari.settings import get_settings
from npe2 import PluginManager

from napari_msd.images.napari_writer import CLASSES_KEY


@pytest.fixture(autouse=True)
def plugins_found():
    """As napari does when it starts."""
    PluginManager.instance().discover()


@pytest.fixture
def exported(painted, qtbot, tmp_path):
    """A segmentation that the window exported."""
    path = tmp_path / "cells-labels.tif"
    painted.controller.classes.rename(2, "nucleus")
    painted.controller.classes.recolor(2, "#102030")
    painted.panel.live_button.click()
    painted.client.predict(2)
    qtbot.waitUntil(lambda: painted.controller.overlay.has_content)
    painted.session.results.export_labels(path)
    qtbot.waitUntil(lambda: "saved" in painted.status)
    return path


def check(layer, image):
    assert isinstance(layer, Labels)
    assert (layer.data == 2).all()
    assert layer.name == "cells-labels"
    assert layer.metadata[CLASSES_KEY]["2"] == {"name": "nucleus", "color": "#102030"}
    np.testing.assert_allclose(layer.get_color(2)[:3], np.array([16, 32, 48]) / 255, atol=1e-3)
    assert tuple(layer.scale) == tuple(image.scale)
    assert layer.units == image.units


def test_an_exported_segmentation_is_opened_as_labels(exported, viewer, image):
    (layer,) = viewer.open(exported, plugin="napari-msd")
    check(layer, image)


def test_the_choice_can_be_remembered(exported, viewer, image, monkeypatch):
    with pytest.raises(MultipleReaderError):  # in the window, napari asks
        viewer.open(exported, plugin=None)  # as File > Open and drag and drop do
    monkeypatch.setattr(get_settings().plugins, "extension2reader", {"*-labels.tif": "napari-msd"})
    (layer,) = viewer.open(exported, plugin=None)
    check(layer, image)


def test_an_opened_segmentation_can_be_trained_on(exported, viewer, painted, qtbot):
    (layer,) = viewer.open(exported, plugin="napari-msd")
    painted.session.picker.choose(annotation=layer)
    assert painted.controller.classes.names[2] == "nucleus"
    assert painted.controller.classes.colors[2] == "#102030"
    assert painted.controller.chosen.problem() is None


def test_saved_strokes_come_back(painted, viewer, tmp_path):
    layer = painted.controller.chosen.annotation
    (path,) = layer.save(str(tmp_path / "strokes.png"), plugin="napari-msd")
    (again,) = viewer.open(path, plugin="napari-msd")
    np.testing.assert_array_equal(again.data, layer.data)
    # a file holds names and colours; what is hidden is a matter of the window
    assert again.metadata[CLASSES_KEY] == {
        value: {"name": info["name"], "color": info["color"]}
        for value, info in layer.metadata[CLASSES_KEY].items()
    }


def test_other_files_are_opened_by_napari_without_a_question(painted, viewer, tmp_path):
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((8, 9), np.uint8))
    (layer,) = viewer.open(tmp_path / "other.tif", plugin=None)
    assert isinstance(layer, Image)
    assert layer.source.reader_plugin == "napari"
