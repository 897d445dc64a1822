"""The oracle itself: its boundaries are numpy's, and it is a plain convolution inside the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_msd.network.reference import extend, mixed_scale_dense_reference


@pytest.mark.parametrize(
    ("boundary", "mode"),
    [("reflect", "reflect"), ("symmetric", "symmetric"), ("zeros", "constant")],
)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_boundaries_are_numpys(boundary, mode, size):
    maps = np.arange(1.0, 1 + size[0] * size[1]).reshape(1, 1, *size)
    padded = np.pad(maps, ((0, 0), (0, 0), (13, 13), (13, 13)), mode=mode)
    np.testing.assert_array_equal(extend(torch.tensor(maps), (13, 13), boundary).numpy(), padded)


def test_one_layer_by_hand():
    image = torch.tensor([[[[1.0, 2.0, 4.0]]]])
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1] = torch.tensor([1.0, 0.0, -1.0])  # left minus right neighbour, two pixels away
    logits = mixed_scale_dense_reference(
        image, [weight], [torch.tensor([0.5])], torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1),
        torch.tensor([100.0]), [2], "reflect",
    )  # fmt: skip
    # reflected at distance 2: x=0 sees 4 and 4, x=1 sees 2 and 2, x=2 sees 1 and 1; ReLU(0 + 0.5).
    assert logits.flatten().tolist() == [106.0, 107.0, 109.0]


def test_along_z_other_pixels_are_read():
    image = torch.zeros(1, 1, 5, 5, 5)
    image[0, 0, 2, 2, 2] = 1.0
    logits = mixed_scale_dense_reference(
        image, [torch.ones(1, 1, 3, 3, 3)], [torch.zeros(1)],
        torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1, 1), torch.zeros(1), [2], "zeros", [1],
    )  # fmt: skip
    seen = sorted({tuple(place.tolist()) for place in logits[0, 0].nonzero()})
    assert seen == [(z, y, x) for z in (1, 2, 3) for y in (0, 2, 4) for x in (0, 2, 4)]
