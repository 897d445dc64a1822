"""Features of planes with neighbouring slices: the slice itself counts most."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_msd.core.box import Box
from napari_msd.inference.plane_features import MANY_CHANNELS, PlaneFeatures
from napari_msd.inference.responses import SCALES, n_responses
from napari_msd.network import MSDNet

SIZE = (20, 23)
EVERYTHING = Box.whole(0, SIZE).slices


def bank() -> MSDNet:
    torch.manual_seed(0)
    network = MSDNet(1, 4, depth=3, dilations=(1, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return network


def noise(values: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(values, *SIZE)).astype(np.float32)


@pytest.mark.parametrize("context", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 2, MANY_CHANNELS, MANY_CHANNELS + 1])
def test_count_agrees_with_what_comes(channels, context):
    values = channels * (2 * context + 1)
    for network in (None, bank()):
        features = PlaneFeatures(network, context)
        assert features.of(noise(values), EVERYTHING).shape == (features.count(values), *SIZE)


def test_only_the_slice_itself_is_seen_by_bank_and_filters():
    slices = noise(3)
    features, alone = PlaneFeatures(bank(), 1), PlaneFeatures(bank())
    found, expected = features.of(slices, EVERYTHING), alone.of(slices[1:2], EVERYTHING)
    np.testing.assert_array_equal(found[: n_responses(1)], expected[: n_responses(1)])
    np.testing.assert_array_equal(found[-4:], expected[-4:])


def test_channels_of_the_slice_itself_lie_in_the_middle():
    slices = noise(6)  # two channels of each of three slices
    found = PlaneFeatures(bank(), 1).of(slices, EVERYTHING)
    expected = PlaneFeatures(bank()).of(slices[2:4], EVERYTHING)
    np.testing.assert_array_equal(found[: n_responses(2)], expected[: n_responses(2)])
    np.testing.assert_array_equal(found[-4:], expected[-4:])
    np.testing.assert_array_equal(found[-10:-4], slices)


def test_neighbours_are_told_smoothed():
    slices = noise(3)
    found = PlaneFeatures(None, 1).of(slices, EVERYTHING)[n_responses(1) :]
    for number, neighbour in enumerate((slices[0], slices[2])):
        for i, scale in enumerate(SCALES):
            expected = gaussian_filter(neighbour, scale, truncate=3.0)
            np.testing.assert_array_equal(found[number * len(SCALES) + i], expected)


def test_many_channels_of_neighbours_are_smoothed_in_their_mean():
    slices = noise(3 * 5)  # 2 x 5 channels of neighbours
    found = PlaneFeatures(None, 1).of(slices, EVERYTHING)[n_responses(5) :]
    mean = slices[10:].mean(axis=0)
    expected = gaussian_filter(mean, SCALES[0], truncate=3.0)
    np.testing.assert_allclose(found[len(SCALES)], expected, atol=1e-6)


def test_a_part_is_cut_out_of_everything():
    part = Box(0, (2, 3), (9, 20)).slices
    features = PlaneFeatures(bank(), 1)
    everything = features.of(noise(3), EVERYTHING)
    np.testing.assert_array_equal(features.of(noise(3), part), everything[(slice(None), *part)])
