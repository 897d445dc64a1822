"""Networks made from records and from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.images.model_file import ModelRecord
from napari_msd.network import MSDNet


def fresh_network(
    settings: Settings,
    given: NetworkInput,
    n_classes: int,
    backend: Literal["auto", "torch"] = "auto",
) -> MSDNet:
    """An untrained network as `settings` want it, its weights decided by their seed.

    Where slices lie further apart than pixels, dilations along Z are so many times smaller.
    """
    return MSDNet(
        given.values,
        n_classes,
        depth=settings.depth,
        width=settings.width,
        dilations=settings.dilations,
        boundary=settings.boundary,
        ndim=given.convolved,
        dilations_z=dilations_along_z(settings.dilations, given.anisotropy),
        backend=backend,
        generator=torch.Generator().manual_seed(settings.seed),
    )


def dilations_along_z(dilations: Sequence[int], anisotropy: float) -> tuple[int, ...] | None:
    """Dilations in slices that reach as far as `dilations` in pixels; None if they are the same."""
    if anisotropy == 1:
        return None
    return tuple(max(1, round(dilation / anisotropy)) for dilation in dilations)


def network_of(record: ModelRecord, backend: Literal["auto", "torch"] = "auto") -> MSDNet:
    """The network that a model file describes, with its weights."""
    network = MSDNet(
        record.in_channels,
        record.n_classes,
        depth=record.depth,
        width=record.width,
        dilations=record.dilations,
        boundary=record.boundary,
        ndim=record.ndim,
        dilations_z=record.dilations_z,
        backend=backend,
    )
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in record.weights.items()})
    return network


@torch.no_grad()
def with_read_out(network: MSDNet, weight: Tensor, bias: Tensor) -> MSDNet:
    """A network with the hidden layers of `network` (copies) and other outputs.

    Parameters
    ----------
    network
        Its outputs are not looked at.
    weight, bias
        (k, maps) and (k,): the final 1x1 convolution, on the network's device.
    """
    other = MSDNet(
        network.in_channels,
        len(weight),
        depth=network.depth,
        width=network.width,
        dilations=network.dilations,
        boundary=network.boundary,
        ndim=network.ndim,
        dilations_z=network.dilations_z,
        backend=network.backend,
    ).to(network.weight.device)
    for mine, theirs in (
        (other.weight, network.weight),
        (other.bias, network.bias),
        (other.output_weight, weight),
        (other.output_bias, bias),
    ):
        mine.copy_(theirs)
    return other


@torch.no_grad()
def with_outputs(network: MSDNet, n_classes: int) -> MSDNet:
    """A copy of `network` with `n_classes` outputs, at least as many as it has.

    New outputs start with zero weights, as the paper starts all of them.
    """
    new = n_classes - network.n_classes
    weight, bias = network.output_weight, network.output_bias
    return with_read_out(
        network,
        torch.cat([weight, weight.new_zeros(new, network.n_maps)]),
        torch.cat([bias, bias.new_zeros(new)]),
    )
