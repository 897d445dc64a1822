"""The shipped layers as features for trees: a network whose outputs are its maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from napari_msd.core.errors import ModelFileError
from napari_msd.core.space import NetworkInput
from napari_msd.images.model_file import TreesRecord
from napari_msd.inference import AnyNormalisation
from napari_msd.inference.ensemble import Ensemble, Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.network import MSDNet
from napari_msd.training.start_weights import shipped_layers, start_dilations


def bank_of(
    layers: Mapping[str, np.ndarray], dilations: Sequence[int], backend: str = "auto"
) -> MSDNet:
    """A network of one channel and width 1 with these layers, whose outputs are all its maps.

    Parameters
    ----------
    layers
        ``layers.0.weight`` (1, 1, 3, 3), ``layers.0.bias`` (1,), ``layers.1.weight`` ...
    dilations
        One per layer, in pixels.
    backend
        As `MSDNet`'s.
    """
    n_maps = len(dilations) + 1
    bank = MSDNet(1, n_maps, depth=len(dilations), dilations=tuple(dilations), backend=backend)
    state = {name: torch.from_numpy(array.copy()) for name, array in layers.items()}
    state["output.weight"] = torch.eye(n_maps)[:, :, None, None]
    state["output.bias"] = torch.zeros(n_maps)
    bank.load_state_dict(state)
    for parameter in bank.parameters():
        parameter.requires_grad_(False)
    return bank


def shipped_bank(backend: str = "auto") -> MSDNet:
    """The layers that ship with the package; `backend` as `MSDNet`'s."""
    layers = {name: tensor.numpy() for name, tensor in shipped_layers().items()}
    return bank_of(layers, start_dilations(), backend)


def layers_of(bank: MSDNet) -> dict[str, np.ndarray]:
    """What `bank_of` made the bank from; copies."""
    return {
        name: tensor.cpu().numpy().copy()
        for name, tensor in bank.state_dict().items()
        if name.startswith("layers.")
    }


def ensemble_of(
    record: TreesRecord,
    given: NetworkInput,
    normalisation: AnyNormalisation,
    device: torch.device,
    backend: str = "auto",
) -> Ensemble:
    """Trees of a model, ready to answer.

    Raises
    ------
    ModelFileError
        If they ask for other features than such images have.
    """
    bank = None
    if record.dilations:
        bank = bank_of(record.layers, record.dilations, backend).to(device)
    features = PixelFeatures(bank, normalisation, given)
    if record.forest.n_features != features.count(given.values):
        raise ModelFileError(
            "This model cannot be used: its trees ask for other features than its images have."
        )
    trees = Trees(record.forest, record.values, features)
    return Ensemble(trees, record.weight, record.offsets)


def trees_record(ensemble: Ensemble) -> TreesRecord:
    """Trees as a model file's content; the reverse of `ensemble_of`."""
    trees = ensemble.trees
    bank = trees.features.bank
    return TreesRecord(
        trees.forest,
        trees.values,
        ensemble.weight,
        ensemble.offsets,
        {} if bank is None else layers_of(bank),
        () if bank is None else bank.dilations,
    )
