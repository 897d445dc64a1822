"""Starting weights that ship with the package: maps that are useful before the first stroke.

A network that starts from random filters spends its first seconds finding what edges, blobs and
textures are. `start_weights.safetensors` holds the hidden layers of a network that was
trained beforehand (``scripts/pretrain.py``: synthetic and real pictures, each a new question with
new strokes) so that a linear read-out of its maps, fitted to a few strokes, answers for the
rest of the picture. Beside this file stands where it comes from.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor

from napari_msd.network import MSDNet

START_DILATIONS = (1, 2, 3, 4, 1, 2, 4, 8)
"""Cycle of dilations of the shipped layers."""

FILES = {2: "start_weights.safetensors", 3: "start_weights_3d.safetensors"}
"""By number of axes. Those for volumes: ``scripts/pretrain_volumes.py``."""


@torch.no_grad()
def start_from_shipped(network: MSDNet, context: int = 0) -> int:
    """Give a fresh network the shipped hidden layers, as far as it has the same ones.

    There are layers for planes and layers for volumes. They see one channel; a network of more
    sees their mean through them, and the channels themselves as maps. At first they do not see
    neighbouring slices in 2.5-D: their weights are 0. Layers of a deeper network that have no
    counterpart keep what they have.

    Parameters
    ----------
    network
        Changed in place.
    context
        Neighbouring slices on each side among its channels.

    Returns
    -------
    int
        How many layers were taken over: those before the first one of another dilation, 0 for
        layers of several channels.
    """
    if network.width != 1:
        return 0
    shipped, state = _shipped(network.ndim), network.state_dict()
    slices = 2 * context + 1
    channels = network.in_channels // slices
    taken = 0
    for i, (weight, bias, dilation) in enumerate(shipped):
        if i == network.depth or network.dilations[i] != dilation:
            break
        taps = weight.shape[2:]
        image = weight.new_zeros((1, slices, channels, *taps))
        image[:, context] = weight[:, :1] / channels
        state[f"layers.{i}.weight"] = torch.cat([image.flatten(1, 2), weight[:, 1:]], dim=1)
        state[f"layers.{i}.bias"] = bias
        taken = i + 1
    network.load_state_dict(state)
    return taken


def shipped_layers() -> dict[str, Tensor]:
    """The shipped layers for planes, by their ``state_dict`` names; not to be changed."""
    return {
        f"layers.{i}.{name}": tensor
        for i, (weight, bias, _) in enumerate(_shipped(2))
        for name, tensor in (("weight", weight), ("bias", bias))
    }


def start_dilations() -> tuple[int, ...]:
    """Dilation of each shipped layer for planes."""
    return tuple(dilation for _, _, dilation in _shipped(2))


@cache
def _shipped(ndim: int) -> list[tuple[Tensor, Tensor, int]]:
    """(weight (1, 1 + i, [3,] 3, 3), bias (1,), dilation) of every shipped layer i."""
    file = resources.files("napari_msd.training") / FILES[ndim]
    tensors = load(file.read_bytes())
    depth = sum(key.endswith(".bias") for key in tensors)
    return [
        (
            tensors[f"layers.{i}.weight"],
            tensors[f"layers.{i}.bias"],
            START_DILATIONS[i % len(START_DILATIONS)],
        )
        for i in range(depth)
    ]
