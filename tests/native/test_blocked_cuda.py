"""What only the shim can see of the CUDA core's blocked kernels: memory, order of threads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from . import oracle
from .oracle import BOUNDARIES, HALVES


def random_image(*shape: int) -> torch.Tensor:
    return oracle.random_image(*shape, dtype=torch.float32)


def test_images_one_after_another(shim_case, make_tame_net):
    # Without a backward pass only some images' maps exist at a time: 1 here, by the image's size.
    net, image = make_tame_net(depth=1), random_image(2, 1, 1024, 600)
    with torch.no_grad():
        logits, expected = (
            compute(net, image) for compute in (shim_case.logits, shim_case.reference)
        )
    torch.testing.assert_close(logits, expected)


def test_16_bit_maps_take_half_the_memory(shim_case, make_tame_net):
    net, image = make_tame_net(depth=20), random_image(1, 1, 64, 64).requires_grad_()
    sizes = {}
    for dtype in (None, torch.bfloat16):
        logits = replace(shim_case, map_dtype=dtype).logits(net, image)
        sizes[dtype] = logits.grad_fn.saved_tensors[0].nbytes
    assert 2 * sizes[torch.bfloat16] == sizes[None] == 4 * 21 * 64 * 64


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("size", "width", "map_dtype"),
    [
        ((1, 1), 1, None),
        ((17, 33), 3, None),
        ((9, 64), 1, HALVES[0]),
        ((2, 601), 1, None),
        ((3, 5, 7), 2, None),
        ((3, 4, 8), 2, HALVES[1]),
    ],
)
def test_the_order_of_threads_and_blocks_changes_nothing(
    shim_case, poisoned, make_tame_net, monkeypatch, size, width, map_dtype, boundary
):
    # What one thread writes and another reads without a barrier between them, or one block and
    # another in the same launch, depends on who comes first.
    case = replace(shim_case, map_dtype=map_dtype)
    net = make_tame_net(
        2, 2, depth=10, width=width, dilations=(1, 2, 7), ndim=len(size), boundary=boundary
    )
    image = random_image(2, 2, *size)
    results = {}
    for order in ("", "reverse", "shuffle:1", "shuffle:2"):
        monkeypatch.setenv("NAPARI_MSD_SHIM_ORDER", order)
        results[order] = oracle.everything(case, net, image)
    assert all(result.isfinite().all() for result in results[""])
    for result in results.values():
        assert all(torch.equal(a, b) for a, b in zip(result, results[""], strict=True))


def test_float64_in_any_order(shim_case, poisoned, make_net, monkeypatch):
    net = make_net(2, 3, depth=5, width=2, dilations=(1, 2, 7))
    image = random_image(2, 2, 9, 17).double()
    expected = oracle.everything(shim_case, net, image)
    assert all(result.isfinite().all() for result in expected)
    monkeypatch.setenv("NAPARI_MSD_SHIM_ORDER", "shuffle:3")
    for got, wanted in zip(oracle.everything(shim_case, net, image), expected, strict=True):
        assert torch.equal(got, wanted)
