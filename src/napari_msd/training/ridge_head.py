"""The final 1x1 convolution in closed form: an answer before the first training step.

With the hidden layers given, the outputs are linear in the maps, so what suits the painted
pixels best in the sense of least squares is the solution of a small linear system (ridge
regression on the classes' indicators, as Bertinetto et al., *Meta-learning with
differentiable closed-form solvers*, ICLR 2019, use it). Training goes on from there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_msd.network import MSDNet
from napari_msd.training.networks import with_read_out

RIDGE = 0.05
"""Weight of the squared size of the solution; maps of the shipped layers are of the order of 1."""

SHARPNESS = 2.8
"""Logits per unit of the indicators' solution, what the shipped layers were trained with."""


def fit_readout(
    network: MSDNet, images: Tensor, labels: Tensor, n_classes: int
) -> tuple[Tensor, Tensor]:
    """Output weights and bias that suit the painted pixels, for the network's present layers.

    Parameters
    ----------
    network
        Its hidden layers are used, its outputs are not looked at.
    images
        (n, C, rows, columns), normalised, on the network's device.
    labels
        (n, rows, columns), int64: class 0..k-1 of the painted pixels, negative elsewhere.
    n_classes
        k.

    Returns
    -------
    weight
        (k, maps), float32; all 0 for a class without pixels.
    bias
        (k,).

    Notes
    -----
    Classes weigh as the square root of their painted pixels, as in training.
    """
    painted = labels >= 0
    truth = labels[painted]
    seen = maps_of(network, images).movedim(1, -1)[painted].double()
    seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)
    counts = torch.bincount(truth, minlength=n_classes).double()
    weights = counts.clamp(min=1).rsqrt()[truth]
    weighted = seen * (weights / weights.sum())[:, None]
    present = counts > 0
    wanted = F.one_hot(truth, n_classes).double() - 1 / present.sum()
    ridge = torch.full((seen.shape[1],), RIDGE, dtype=torch.double, device=seen.device)
    ridge[-1] = 1e-3  # the bias is nearly free
    solution = torch.linalg.solve(seen.T @ weighted + ridge.diag(), weighted.T @ wanted)
    solution = (SHARPNESS * solution * present).float()
    return solution[:-1].T.contiguous(), solution[-1]


@torch.no_grad()
def maps_of(network: MSDNet, images: Tensor) -> Tensor:
    """All maps, the image's channels first: (n, maps, rows, columns).

    They are the outputs of a network with the same layers whose final convolution is the
    identity, so the compiled cores give them.
    """
    identity = torch.eye(network.n_maps, device=images.device)
    maps: Tensor = with_read_out(network, identity, identity.new_zeros(network.n_maps))(images)
    return maps
