"""The images that ship with the plugin: there, small, annotated like a person would."""

from importlib.resources import files

import numpy as np
import pytest

from napari_msd import samples
from napari_msd.core.errors import BadInputError

WITH_STROKES = [name for name in samples.NAMES if samples.load(name).strokes is not None]


@pytest.mark.parametrize("name", samples.NAMES)
def test_images_are_complete(name):
    sample = samples.load(name)
    assert sample.image.dtype == np.uint8
    assert sample.truth.shape == sample.image.shape[:2]
    assert set(np.unique(sample.truth)) == set(sample.class_names)


@pytest.mark.parametrize("name", WITH_STROKES)
def test_strokes_are_sparse_and_right(name):
    sample = samples.load(name)
    painted = sample.strokes > 0
    assert set(np.unique(sample.strokes)) == {0, *sample.class_names}
    assert 0.01 < painted.mean() < 0.04
    assert not painted[[0, -1]].any()
    assert not painted[:, [0, -1]].any()
    assert (sample.strokes == sample.truth)[painted].mean() > 0.99


def test_there_are_samples_to_train_on_at_once():
    assert len(WITH_STROKES) >= 1
    assert len(samples.NAMES) >= 2


def test_files_stay_small_and_say_their_licence():
    folder = files("napari_msd").joinpath("samples", "files")
    sizes = {file.name: len(file.read_bytes()) for file in folder.iterdir()}
    assert max(sizes.values()) < 300_000
    licence = folder.joinpath("README.txt").read_text(encoding="utf-8")
    for name in sizes:
        assert name in licence or name == "README.txt"
    assert "CC0" in licence


def test_unknown_sample():
    with pytest.raises(BadInputError, match="choose one of nuclei"):
        samples.load("mitochondria")


def test_iou_counts_pixels_of_known_truth_only():
    truth = np.array([[1, 1, 2, 2, 0]])
    assert samples.iou_per_class(np.array([[1, 2, 2, 2, 1]]), truth) == {1: 0.5, 2: 2 / 3}


@pytest.mark.parametrize(
    "function",
    [
        samples.nuclei,
        samples.nuclei_edges,
        samples.tissue,
        samples.immunohistochemistry,
    ],
)
def test_napari_takes_the_layers(function):
    from napari.layers import Layer

    layers = [Layer.create(*layer) for layer in function()]
    assert layers[0].rgb == (layers[0].data.ndim == 3)
    for labels in layers[1:]:
        assert labels.data.shape == layers[0].data.shape[:2]
        classes = labels.metadata["napari_msd_classes"]
        assert set(classes) == {str(v) for v in np.unique(labels.data) if v}
        first, second = (labels.get_color(value) for value in (1, 2))
        assert not np.array_equal(first, second)


def test_manifest_offers_every_sample():
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    offered = manager.get_manifest("napari-msd").contributions.sample_data
    assert {sample.key for sample in offered} >= set(samples.NAMES)
    for sample in offered:
        layers = sample.open()
        assert layers[0][2] == "image"
