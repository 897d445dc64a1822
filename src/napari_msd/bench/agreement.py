"""Checks that the fast path agrees with the reference, before anything is timed."""

from __future__ import annotations

import copy
import math
from contextlib import AbstractContextManager, nullcontext

import torch

from napari_msd.core.errors import MSDError
from napari_msd.network import MSDNet, mixed_scale_dense_reference

ALLOWED_ERROR = 1e-3
"""Relative to the largest value; gradients of 100 layers in float32 stay below this."""

ALLOWED_ERROR_16_BIT = 0.15
"""Relative, in the norm: rounding near 0 switches ReLU gradients on or off, which adds up."""


def validate(net: MSDNet, in_16_bits: bool = False) -> float:
    """Largest difference between the fast path and the reference, relative to the largest value.

    Compares logits and all gradients on a small image; raises if they do not agree. With 16-bit
    maps, differences are measured in the norm.
    """
    size = 40 if net.ndim == 2 else 20
    device = net.weight.device
    image = torch.randn(1, 1, *(size,) * net.ndim, device=device)
    gradient = torch.randn(1, net.n_classes, *(size,) * net.ndim, device=device)
    parameters = tuple(net.parameters())
    with autocast(in_16_bits):
        logits = net(image)
    got = [logits, *torch.autograd.grad(logits, parameters, gradient)]
    exact = copy.deepcopy(net).double()
    state = exact.state_dict(keep_vars=True)
    wanted = mixed_scale_dense_reference(
        image.double(),
        [state[f"layers.{i}.weight"] for i in range(net.depth)],
        [state[f"layers.{i}.bias"] for i in range(net.depth)],
        state["output.weight"],
        state["output.bias"],
        net.dilations,
        net.boundary,
        net.dilations_z,
    )
    expected = [wanted, *torch.autograd.grad(wanted, tuple(exact.parameters()), gradient.double())]
    order = 2.0 if in_16_bits else math.inf
    worst = max(
        float(torch.linalg.vector_norm(a.detach() - b.detach(), order))
        / float(torch.linalg.vector_norm(b.detach(), order))
        for a, b in zip(got, expected, strict=True)
    )
    if not worst < (ALLOWED_ERROR_16_BIT if in_16_bits else ALLOWED_ERROR):
        raise MSDError(f"{net.backend_reason} It disagrees with the reference by {worst:.1e}.")
    return worst


def autocast(in_16_bits: bool) -> AbstractContextManager[object]:
    """The autocast context under which the CUDA core stores maps in 16 bits."""
    if not in_16_bits:
        return nullcontext()
    bfloat16 = torch.cuda.get_device_capability() >= (8, 0)
    return torch.autocast("cuda", dtype=torch.bfloat16 if bfloat16 else torch.float16)
