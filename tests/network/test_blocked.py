"""What the blocked torch path has of its own: 16-bit networks, and memory.

Its logits and gradients are compared with the reference in `tests/native/test_backends.py`.
"""

from __future__ import annotations

import pytest
import torch

from ..native.oracle import random_image, random_net


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(dtype):
    net = random_net(depth=6, backend="torch", dtype=torch.float32)
    image = random_image(1, 1, 16, 16, dtype=torch.float32)
    with torch.no_grad():
        exact = net(image)
        near = net.to(dtype)(image.to(dtype)).float()
    # A few roundings of the maps, each 2^-8 (bfloat16) or 2^-11 of the value.
    bound = 0.05 if dtype == torch.bfloat16 else 0.01
    assert float((near - exact).abs().max() / exact.abs().max()) < bound


def test_memory_grows_with_the_maps_not_with_the_square_of_the_depth():
    kept = []

    def pack(tensor):
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    net = random_net(depth=30, backend="torch", dtype=torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(random_image(1, 1, 32, 32, dtype=torch.float32))
    parameters = 4 * net.n_parameters
    assert sum(kept) <= 4 * net.n_maps * 32 * 32 + parameters
