"""A trained network as a model file's content."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np
import torch

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.palette import class_color
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.core.version import VERSION
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import AnyNormalisation, Normalisation
from napari_msd.inference.ensemble import Ensemble
from napari_msd.network import MSDNet
from napari_msd.training.bank import trees_record
from napari_msd.training.scores import Scores


def versions() -> dict[str, str]:
    """What a result depends on."""
    return {
        "napari-msd": VERSION,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def record_of(
    network: MSDNet,
    outputs: Sequence[int],
    normalisation: AnyNormalisation,
    settings: Settings,
    given: NetworkInput,
    *,
    steps: int,
    scores: Scores,
    ensemble: Ensemble | None = None,
) -> ModelRecord:
    """The model file's content for `network`, whose output k is class ``outputs[k]``."""
    fixed = isinstance(normalisation, Normalisation)
    channels = network.in_channels
    return ModelRecord(
        # copies: a state_dict's tensors are views of parameters that go on changing
        weights={k: v.cpu().numpy().copy() for k, v in network.state_dict().items()},
        in_channels=network.in_channels,
        n_classes=network.n_classes,
        depth=network.depth,
        width=network.width,
        dilations=tuple(network.dilations),
        boundary=network.boundary,
        ndim=network.ndim,
        context=given.context,
        dilations_z=network.dilations_z,
        anisotropy=given.anisotropy,
        classes=tuple(ClassInfo(value, f"class {value}", class_color(value)) for value in outputs),
        mean=normalisation.mean if isinstance(normalisation, Normalisation) else (0.0,) * channels,
        std=normalisation.std if isinstance(normalisation, Normalisation) else (1.0,) * channels,
        normalise="fixed" if fixed else "plane",
        trees=trees_record(ensemble) if ensemble is not None else None,
        settings=settings.to_dict(),
        seed=settings.seed,
        steps=steps,
        score=scores.mean,
        scores=dict(scores.iou),
        versions=versions(),
    )
