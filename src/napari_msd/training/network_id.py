"""A short name for what a network predicts with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from napari_msd.inference import AnyNormalisation, Normalisation
from napari_msd.inference.ensemble import Ensemble
from napari_msd.network import MSDNet

_BYTES = 8


@torch.no_grad()
def digest_of(
    network: MSDNet,
    normalisation: AnyNormalisation | None,
    outputs: Sequence[int],
    active: Sequence[int],
    ensemble: Ensemble | None = None,
) -> str:
    """16 hexadecimal digits that differ whenever predictions may differ.

    Outputs of classes that are not predicted do not count: a class added later leaves
    the name of the network as it is.

    Parameters
    ----------
    network
        Its weights.
    normalisation
        What is done to an image first; None if that is not decided yet.
    outputs
        Class value of each output of the network.
    active
        The classes that are predicted.
    ensemble
        Trees that are mixed with the network.
    """
    rows = [i for i, value in enumerate(outputs) if value in active]
    shape: tuple[object, ...] = (
        network.depth,
        network.width,
        tuple(network.dilations),
        network.boundary,
        network.ndim,
    )
    if network.dilations_z is not None:
        shape = (*shape, network.dilations_z)
    digest = hashlib.blake2b(digest_size=_BYTES)
    digest.update(repr((shape, [outputs[i] for i in rows])).encode())
    if isinstance(normalisation, Normalisation):
        for values in (normalisation.mean, normalisation.std):
            digest.update(np.asarray(values, np.float64).tobytes())
    for weights in (
        network.weight,
        network.bias,
        network.output_weight[rows],
        network.output_bias[rows],
    ):
        digest.update(np.ascontiguousarray(weights.cpu().numpy(), np.float32).tobytes())
    if ensemble is not None:
        forest = ensemble.trees.forest
        digest.update(repr((ensemble.trees.values, ensemble.weight, ensemble.offsets)).encode())
        for array in (forest.feature, forest.threshold, forest.child, forest.answers):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
