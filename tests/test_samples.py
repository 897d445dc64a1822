"""The images that ship with the plugin: there, small, annotated like a person would."""

from importlib.resources import files

import numpy as np
import pytest

from napari_msd import samples
from napari_msd.core.errors import BadInputError
from napari_msd.samples import made

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
        made.stack,
        made.two_channels,
        made.time_series,
        made.huge,
    ],
)
def test_napari_takes_the_layers(function):
    from napari.layers import Layer

    layers = [Layer.create(*layer) for layer in function()]
    coloured = function in (samples.tissue, samples.immunohistochemistry)
    assert layers[0].rgb == coloured
    for labels in layers[1:]:
        assert labels.data.shape == layers[0].data.shape[: 2 if coloured else None]
        if labels.as_layer_data_tuple()[2] == "image":  # another channel
            continue
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


# --- images that are made -------------------------------------------------------------------


@pytest.mark.parametrize("function", [made.stack, made.two_channels, made.time_series])
def test_made_images_are_the_same_each_time(function):
    for (first, about, _), (second, again, _) in zip(function(), function(), strict=True):
        np.testing.assert_array_equal(first, second)
        assert about["scale"] == again["scale"]
        assert len(about["axis_labels"]) == len(about["scale"]) == first.ndim


def test_strokes_of_the_stack_are_on_a_few_slices():
    image, strokes = (layer[0] for layer in made.stack())
    painted = strokes.any(axis=(1, 2))
    assert painted.sum() == 3
    for z in np.flatnonzero(painted):
        assert set(np.unique(strokes[z])) == {0, 1, 2, 3}
    assert strokes.shape == image.shape


def test_only_the_marker_tells_two_kinds_of_nuclei_apart():
    nuclei, marker, strokes = (layer[0] for layer in made.two_channels())
    plain, marked = (strokes == value for value in (2, 3))
    assert abs(float(nuclei[plain].mean()) - float(nuclei[marked].mean())) < 10
    assert marker[marked].mean() > 2 * marker[plain].mean()


def test_the_huge_image_is_sliced_like_an_array():
    (levels, about, _) = made.huge()[0]
    image = levels[0]
    assert about["multiscale"]
    assert (image.shape, image.nbytes) == ((60, 20_000, 20_000), 24 * 10**9)
    block = np.asarray(image[3:5, 19_000:19_040, 500:530])
    assert block.shape == (2, 40, 30)
    assert block.std() > 5
    np.testing.assert_array_equal(np.asarray(image[4][19_000:19_040, 500:530]), block[1])
    np.testing.assert_array_equal(np.asarray(image[..., 510][3:5, 19_000:19_040]), block[..., 10])
    np.testing.assert_array_equal(np.asarray(image[3:5][:, 19_000:19_040][1, :, 500:530]), block[1])
    np.testing.assert_array_equal(np.asarray(image[-56, -1000:-960, 500:530]), block[1])
    np.testing.assert_array_equal(
        np.asarray(levels[1][3, 100:110, 20:30]), np.asarray(image[3, 400:440:4, 80:120:4])
    )
