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


def smooth(values: np.ndarray, scale: float) -> np.ndarray:
    return gaussian_filter(values, scale, truncate=3.0)


@pytest.mark.parametrize("distance", [1, 2])
def test_neighbours_are_told_by_their_differences(distance):
    slices = noise(5)
    n = len(SCALES)
    found = PlaneFeatures(None, 2).of(slices, EVERYTHING)[n_responses(1) :]
    at = found[3 * n * (distance - 1) :]
    before, own, after = slices[2 - distance], slices[2], slices[2 + distance]
    for i, scale in enumerate(SCALES):
        slope = np.abs(smooth(after, scale) - smooth(before, scale))
        bend = smooth(before, scale) + smooth(after, scale) - 2 * smooth(own, scale)
        change = np.sqrt(smooth(((before - own) ** 2 + (after - own) ** 2) / 2, scale))
        for found_there, expected in zip(at[i : 3 * n : n], (slope, bend, change), strict=True):
            np.testing.assert_allclose(found_there, expected, atol=1e-5)


def test_it_does_not_matter_which_end_of_the_stack_is_first():
    slices = noise(3)
    one, other = (PlaneFeatures(bank(), 1).of(s, EVERYTHING) for s in (slices, slices[::-1].copy()))
    n = n_responses(1) + 3 * len(SCALES)
    np.testing.assert_array_equal(one[:n], other[:n])
    np.testing.assert_array_equal(one[n : n + 3], other[n : n + 3][::-1])


def test_slices_that_are_all_the_same_differ_by_nothing():
    slices = np.repeat(noise(1), 3, axis=0)
    found = PlaneFeatures(None, 1).of(slices, EVERYTHING)[n_responses(1) :][: 3 * len(SCALES)]
    np.testing.assert_array_equal(found, 0)


def test_many_channels_of_neighbours_are_compared_in_their_mean():
    channels = MANY_CHANNELS + 1
    slices = noise(3 * channels)
    found = PlaneFeatures(None, 1).of(slices, EVERYTHING)[: n_responses(1) + 3 * len(SCALES)]
    means = slices.reshape(3, channels, *SIZE).mean(axis=1)
    expected = PlaneFeatures(None, 1).of(means, EVERYTHING)[: len(found)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_part_is_cut_out_of_everything():
    part = Box(0, (2, 3), (9, 20)).slices
    features = PlaneFeatures(bank(), 1)
    everything = features.of(noise(3), EVERYTHING)
    np.testing.assert_array_equal(features.of(noise(3), part), everything[(slice(None), *part)])
