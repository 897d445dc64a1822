"""Networks made from records and from each other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from napari_msd.config import Settings
from napari_msd.io.model_file import ModelRecord
from napari_msd.network import MSDNet


def fresh_network(
    settings: Settings,
    n_channels: int,
    n_classes: int,
    backend: Literal["auto", "torch"] = "auto",
) -> MSDNet:
    """An untrained network as `settings` want it, its weights decided by their seed."""
    return MSDNet(
        n_channels,
        n_classes,
        depth=settings.depth,
        width=settings.width,
        dilations=settings.dilations,
        boundary=settings.boundary,
        backend=backend,
        generator=torch.Generator().manual_seed(settings.seed),
    )


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
        backend=backend,
    )
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in record.weights.items()})
    return network


@torch.no_grad()
def with_outputs(network: MSDNet, n_classes: int) -> MSDNet:
    """A copy of `network` with `n_classes` outputs, at least as many as it has.

    New outputs start with zero weights, as the paper starts all of them.
    """
    device = next(network.parameters()).device
    copy = MSDNet(
        network.in_channels,
        n_classes,
        depth=network.depth,
        width=network.width,
        dilations=network.dilations,
        boundary=network.boundary,
        ndim=network.ndim,
        backend=network.backend,
    ).to(device)
    state = network.state_dict()
    for name in ("output.weight", "output.bias"):
        grown = state[name].new_zeros((n_classes, *state[name].shape[1:]))
        grown[: network.n_classes] = state[name]
        state[name] = grown
    copy.load_state_dict(state)
    return copy


@torch.no_grad()
def copy_weights(source: MSDNet, target: MSDNet) -> None:
    """Give `target` the weights of `source`, a network of the same shape."""
    for old, new in zip(target.parameters(), source.parameters(), strict=True):
        old.copy_(new)


def carry_moments(moments: dict[int, dict[str, Tensor]], optimiser: torch.optim.Optimizer) -> None:
    """Give ADAM back what it knew of the parameters whose size did not change.

    `moments` is the ``state`` of an earlier optimiser's ``state_dict``, of as many parameters.
    """
    for i, parameter in enumerate(optimiser.param_groups[0]["params"]):
        known = moments.get(i)
        if known is not None and known["exp_avg"].shape == parameter.shape:
            optimiser.state[parameter] = known
