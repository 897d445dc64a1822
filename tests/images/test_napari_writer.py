"""File > Save of a Labels layer, as napari does it."""

import numpy as np
import pytest
from napari.layers import Labels
from npe2 import PluginManager, write

from napari_msd.core.errors import ExportError
from napari_msd.images.image_files import read_labels
from napari_msd.images.napari_writer import class_names, write_labels


def labels_layer(shape=(20, 30), **changes):
    data = np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)
    about = {"1": {"name": "background", "color": "#56b4e9"}, "2": {"name": "nucleus"}}
    return Labels(data, metadata={"napari_msd_classes": about}, **changes)


def save(path, layer):
    return write_labels(str(path), *layer.as_layer_data_tuple()[:2])


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".png", ".npy"])
def test_layer_reads_back_equal(tmp_path, suffix):
    layer = labels_layer(scale=(0.5, 0.25), units=("um", "um"), axis_labels=("y", "x"))
    (written,) = save(tmp_path / f"a{suffix}", layer)
    image = read_labels(written)
    np.testing.assert_array_equal(image.data, layer.data)
    if suffix != ".npy":
        assert image.scale == (0.5, 0.25)
        assert image.units == ("micrometer", "micrometer")
        assert image.class_names == {1: "background", 2: "nucleus"}


def test_layer_as_napari_makes_it_without_names_and_units(tmp_path):
    layer = Labels(np.eye(12, dtype=int).reshape(3, 4, 12))
    image = read_labels(*save(tmp_path / "a.tif", layer))
    np.testing.assert_array_equal(image.data, layer.data)
    assert (image.axes, image.scale, image.class_names) == ("ZYX", None, {})


def test_multiscale_layer_is_saved_in_full_resolution(tmp_path):
    data = np.zeros((64, 64), np.uint8)
    data[5:20, 7:30] = 2
    image = read_labels(*save(tmp_path / "a.tif", Labels([data, data[::2, ::2]])))
    np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize("found", [None, 3, {"x": {}}, {"1": "nucleus"}, {"1": {}}])
def test_other_metadata_is_no_class_table(found):
    assert class_names({"napari_msd_classes": found}) == {}


def test_manifest_offers_the_writer(tmp_path):
    PluginManager.instance().discover()
    layer = labels_layer()
    written = write(str(tmp_path / "a.tif"), [layer], plugin_name="napari-msd")
    assert read_labels(*written).class_names == {1: "background", 2: "nucleus"}


def test_full_disk_is_one_sentence(tmp_path, full_disk):
    with full_disk(), pytest.raises(ExportError, match="disk is full"):
        save(tmp_path / "a.tif", labels_layer())
    assert list(tmp_path.iterdir()) == []
