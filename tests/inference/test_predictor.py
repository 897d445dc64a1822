"""Tiles join without a seam; silenced classes are never predicted."""

import numpy as np
import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError, OutOfMemoryError
from napari_msd.inference import Normalisation, Predictor, SlabPixels, tiles_of
from napari_msd.inference.normalisation import require_channels

SHAPE = (61, 83)
NORMALISATION = Normalisation((100.0, 200.0), (10.0, 20.0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = MSDNet(2, 3, depth=4, dilations=(1, 2, 3), backend="torch")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return network


@pytest.fixture
def plane():
    noise = np.random.default_rng(1).standard_normal((2, *SHAPE))
    grey = (noise * [[[10]], [[20]]] + [[[100]], [[200]]]).astype(np.uint16)
    return SlabPixels.whole(grey)


def test_tiles_equal_the_whole(network, plane):
    predictor = Predictor(network, NORMALISATION, [1, 2, 5])
    at_once = predictor.probabilities(plane, Box.whole(0, SHAPE))
    assert at_once.shape == (3, *SHAPE)
    assert np.allclose(at_once.sum(axis=0), 1, atol=1e-5)
    for tile in tiles_of(Box.whole(0, SHAPE), 20):
        part = predictor.probabilities(plane, tile)
        # Only the order of additions differs between the two.
        assert np.allclose(part, at_once[(slice(None), *tile.slices)], atol=1e-5)


def test_volumes_are_predicted_in_tiles_too():
    torch.manual_seed(0)
    network = MSDNet(1, 2, depth=3, dilations=(1, 2), backend="torch", ndim=3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    noise = np.random.default_rng(1).standard_normal((1, 14, 17, 21)).astype(np.float32)
    volume = SlabPixels.whole(noise)
    predictor = Predictor(network, Normalisation((0.0,), (1.0,)), [1, 2], [2])
    assert (predictor.labels(volume, Box(0, (0, 0, 0), (14, 17, 21))) == 2).all()
    predictor = Predictor(network, Normalisation((0.0,), (1.0,)), [1, 2])
    at_once = predictor.probabilities(volume, Box.whole(0, (14, 17, 21)))
    tiles = tiles_of(Box(3, (5, 0, 0, 0), (6, 14, 17, 21)), 8)  # of one time point
    assert len(tiles) == 2 * 3 * 3
    for tile in tiles:
        part = predictor.probabilities(volume, tile)
        np.testing.assert_allclose(part, at_once[(slice(None), *tile.last(3).slices)], atol=1e-5)


def test_labels_are_annotation_values_of_active_classes(network, plane):
    all_of_it = Box.whole(0, SHAPE)
    labels = Predictor(network, NORMALISATION, [1, 2, 5]).labels(plane, all_of_it)
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {1, 2, 5}
    without = Predictor(network, NORMALISATION, [1, 2, 5], active=[1, 5]).labels(
        plane, Box.whole(0, SHAPE)
    )
    assert 2 in labels
    assert set(np.unique(without)) <= {1, 5}


def test_on_too_little_memory_the_tile_is_halved(network, plane, monkeypatch):
    whole_answer = Predictor(network, NORMALISATION, [1, 2, 5]).labels(plane, Box.whole(0, SHAPE))
    real = MSDNet.forward

    def small_only(self, image):
        if image.shape[-1] * image.shape[-2] > 60 * 60:
            raise OutOfMemoryError("too large")
        return real(self, image)

    monkeypatch.setattr(MSDNet, "forward", small_only)
    labels = Predictor(network, NORMALISATION, [1, 2, 5]).labels(plane, Box.whole(0, SHAPE))
    assert np.array_equal(labels, whole_answer)


def test_memory_for_nothing_is_said(network, plane, monkeypatch):
    def never(self, image):
        raise OutOfMemoryError("too large")

    monkeypatch.setattr(MSDNet, "forward", never)
    with pytest.raises(OutOfMemoryError, match="too little memory"):
        Predictor(network, NORMALISATION, [1, 2, 5]).labels(plane, Box.whole(0, SHAPE))


@pytest.mark.parametrize("side", [1, 7, 20, 500])
def test_tiles_cover_once_and_start_in_the_middle(side):
    region = Box(0, (3, 5), (43, 95))
    count = np.zeros((50, 100), int)
    tiles = tiles_of(region, side)
    for tile in tiles:
        assert max(tile.shape) <= side or side >= 90
        count[tile.slices] += 1
    expected = np.zeros((50, 100), int)
    expected[region.slices] = 1
    assert np.array_equal(count, expected)
    assert tiles_of(Box(0, (0, 0), (0, 9)), side) == []


def test_normalisation_leaves_out_what_is_no_number():
    pixels = np.array([[[1.0, 3.0], [np.nan, np.inf]]])
    normalisation = Normalisation.of(pixels)
    assert normalisation.mean == (2.0,)
    assert normalisation.apply(pixels).tolist() == [[[-1.0, 1.0], [0.0, 0.0]]]


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.zeros((1, 0, 5)), "empty"),
        (np.full((1, 4, 4), 7), "same value"),
        (np.ones((1, 1, 1)), "same value"),
        (np.full((2, 4, 4), np.nan), "no numbers"),
    ],
)
def test_images_without_information_are_refused(pixels, sentence):
    with pytest.raises(ImageError, match=sentence):
        Normalisation.of(pixels)


def test_of_a_large_plane_a_sample_is_measured_unless_it_misses_all():
    plane = np.random.default_rng(0).normal(5, 3, (1, 1500, 1600))
    normalisation = Normalisation.of(plane)
    assert normalisation.mean[0] == pytest.approx(5, abs=0.05)
    assert normalisation.std[0] == pytest.approx(3, abs=0.05)
    plane[...] = 0
    plane[0, 1, 1] = 1  # between the pixels of the sample
    assert Normalisation.of(plane).std[0] > 0


def test_another_number_of_channels_is_refused():
    with pytest.raises(ImageError, match="made for one channel, this image has 3 channels"):
        require_channels(3, 1)
