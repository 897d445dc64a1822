"""The shipped layers, and the read-out that is fitted to strokes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_msd import MSDNet
from napari_msd.training.ridge_head import fit_readout, maps_of
from napari_msd.training.start_weights import START_DILATIONS, start_from_shipped


def test_all_layers_of_the_quick_network_start_from_the_shipped_ones():
    network = MSDNet(1, 2, depth=30, dilations=START_DILATIONS)
    before = network.weight.clone()
    assert start_from_shipped(network) == 30
    assert not torch.equal(network.weight, before)
    assert torch.isfinite(network.weight).all()


def test_several_channels_see_what_their_mean_would():
    grey = MSDNet(1, 2, depth=6, dilations=START_DILATIONS)
    colour = MSDNet(3, 2, depth=6, dilations=START_DILATIONS)
    start_from_shipped(grey)
    start_from_shipped(colour)
    plane = torch.randn(1, 1, 20, 24)
    hidden_grey = maps_of(grey, plane)[:, 1:]
    hidden_colour = maps_of(colour, plane.expand(-1, 3, -1, -1))[:, 3:]
    torch.testing.assert_close(hidden_colour, hidden_grey, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("context", [1, 2])
def test_of_neighbouring_slices_only_the_slice_itself_is_seen(channels, context):
    alone = MSDNet(channels, 2, depth=6, dilations=START_DILATIONS)
    among = MSDNet(channels * (2 * context + 1), 2, depth=6, dilations=START_DILATIONS)
    start_from_shipped(alone)
    assert start_from_shipped(among, context) == 6
    slices = torch.randn(1, channels * (2 * context + 1), 20, 24)
    own = slices[:, context * channels : (context + 1) * channels]
    expected, found = (
        maps_of(alone, own)[:, channels:],
        maps_of(among, slices)[:, slices.shape[1] :],
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dilations_z", [None, (1,), (2, 1)])
def test_volumes_of_several_channels_see_what_their_mean_would(dilations_z):
    shape = {"depth": 8, "dilations": START_DILATIONS, "ndim": 3, "dilations_z": dilations_z}
    grey, two = MSDNet(1, 2, **shape), MSDNet(2, 2, **shape)
    assert start_from_shipped(grey) == start_from_shipped(two) == 8
    volume = torch.randn(1, 1, 7, 20, 24)
    expected = maps_of(grey, volume)[:, 1:]
    found = maps_of(two, volume.expand(-1, 2, -1, -1, -1))[:, 2:]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_layers_for_volumes_see_neighbouring_slices():
    volume = MSDNet(1, 2, depth=8, dilations=START_DILATIONS, ndim=3)
    start_from_shipped(volume)
    flat = torch.zeros(1, 1, 9, 16, 16)
    flat[:, :, 4] = 3.0
    maps = maps_of(volume, flat)[0, 1:, :, 8, 8]
    assert (maps[:, 3] - maps[:, 0]).abs().max() > 0.1


@pytest.mark.parametrize(
    ("keywords", "taken"),
    [
        ({"depth": 40, "dilations": START_DILATIONS}, 30),
        ({"depth": 10, "dilations": (1, 2, 3, 5)}, 3),
        ({"depth": 10, "dilations": START_DILATIONS, "width": 2}, 0),
        ({"depth": 4, "dilations": START_DILATIONS, "ndim": 3}, 4),
        ({"depth": 12, "dilations": (1, 2, 3, 4), "ndim": 3}, 6),
        ({"depth": 20, "dilations": START_DILATIONS, "ndim": 3}, 12),
    ],
)
def test_only_layers_that_agree_are_taken(keywords, taken):
    assert start_from_shipped(MSDNet(1, 2, **keywords)) == taken


def test_the_read_out_tells_painted_pixels_apart():
    network = MSDNet(1, 2, depth=8, dilations=START_DILATIONS)
    start_from_shipped(network)
    image = torch.zeros(1, 1, 32, 32)
    image[..., 16:] = 2
    labels = torch.full((1, 32, 32), -1)
    labels[0, 4:28, 4:7] = 0
    labels[0, 4:28, 25:28] = 1
    weight, bias = fit_readout(network, image, labels, n_classes=3)
    maps = maps_of(network, image)[0]
    found = (torch.einsum("km,mhw->khw", weight, maps) + bias[:, None, None])[:2].argmax(0)
    assert torch.equal(found[labels[0] >= 0], labels[0][labels[0] >= 0])
    assert not weight[2].any()  # nothing of class 2 was painted


def test_maps_are_what_the_network_combines():
    network = MSDNet(1, 2, depth=5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.output_weight.normal_(generator=torch.Generator().manual_seed(2))
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 1, 9, 11))).float()
    combined = torch.einsum("km,nmhw->nkhw", network.output_weight, maps_of(network, image))
    torch.testing.assert_close(combined, network(image), atol=1e-4, rtol=1e-4)
