"""The Mixed-Scale Dense network as in the paper, in plain torch.

Source of all formulas: Pelt & Sethian, PNAS 115(2), 2018,
doi 10.1073/pnas.1715832114. Every fast path is tested against this reference. It is written for
readability and runs on any torch device and dtype.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_msd.core.settings import Boundary


def source_index(position: Tensor, size: int, boundary: Boundary) -> Tensor:
    """Index of the pixel that a boundary rule places at `position`, inside or outside a row.

    Parameters
    ----------
    position
        int64 positions, any value: the row is folded as often as needed.
    size
        Pixels in the row, at least 1.
    boundary
        ``reflect`` mirrors about the edge pixel (... 2 1 [0 1 2] 1 0 ...),
        ``symmetric`` about the edge (... 1 0 [0 1 2] 2 1 ...); ``zeros`` has
        no source outside, given as -1.

    Returns
    -------
    Tensor
        int64, the same shape, values 0..size-1, or -1 for "no pixel there".
    """
    if boundary == "zeros":
        inside = (position >= 0) & (position < size)
        return torch.where(inside, position, -1)
    if boundary == "symmetric":
        folded = torch.remainder(position, 2 * size)
        return torch.minimum(folded, 2 * size - 1 - folded)
    if size == 1:
        return torch.zeros_like(position)
    folded = torch.remainder(position, 2 * (size - 1))
    return torch.minimum(folded, 2 * (size - 1) - folded)


def extend(maps: Tensor, margins: Sequence[int], boundary: Boundary) -> Tensor:
    """Extend each spatial axis of (N, C, ...) maps by its margin of pixels on both sides."""
    for axis, margin in enumerate(margins, start=2):
        size = maps.shape[axis]
        position = torch.arange(-margin, size + margin, device=maps.device)
        source = source_index(position, size, boundary)
        extended = maps.index_select(axis, source.clamp(min=0))
        shape = [1] * maps.ndim
        shape[axis] = -1
        maps = torch.where((source >= 0).reshape(shape), extended, torch.zeros_like(extended))
    return maps


def mixed_scale_dense_reference(
    image: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    output_weight: Tensor,
    output_bias: Tensor,
    dilations: Sequence[int],
    boundary: Boundary = "reflect",
    dilations_z: Sequence[int] | None = None,
) -> Tensor:
    """Logits of the network (Eqs. 3 to 5 of the paper, without the final activation).

    Parameters
    ----------
    image
        (N, in_channels, Y, X), or (N, in_channels, Z, Y, X) in 3-D.
    weights
        One tensor per layer i: (width, in_channels + i * width, 3, 3[, 3]).
    biases
        One tensor per layer: (width,).
    output_weight
        (n_classes, in_channels + depth * width, 1, 1[, 1]).
    output_bias
        (n_classes,).
    dilations
        depth * width dilations; entry ``i * width + j`` belongs to channel j of layer i.
    boundary
        See `source_index`.
    dilations_z
        Along Z, in 3-D: as many entries as `dilations`. None: the same as along Y and X.

    Returns
    -------
    Tensor
        (N, n_classes, Y, X), or with Z in 3-D.
    """
    convolve = F.conv2d if image.ndim == 4 else F.conv3d
    maps = image
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        channels = []
        for j in range(weight.shape[0]):
            q = i * weight.shape[0] + j
            dilation = (int(dilations[q]),) * (image.ndim - 2)
            if dilations_z is not None:
                dilation = (int(dilations_z[q]), *dilation[1:])
            extended = extend(maps, dilation, boundary)
            channels.append(
                convolve(extended, weight[j : j + 1], bias[j : j + 1], dilation=dilation)
            )
        maps = torch.cat([maps, torch.relu(torch.cat(channels, dim=1))], dim=1)
    return convolve(maps, output_weight, output_bias)
