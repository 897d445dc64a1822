"""A model of a file beside what is learned here: whether it fits, and how well it answers."""

from __future__ import annotations

from typing import Literal

import torch

from napari_msd.core.errors import ModelFileError
from napari_msd.core.space import Mode, NetworkInput
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import AnyNormalisation, EachPlane, Normalisation, Predictor
from napari_msd.training.bank import ensemble_of
from napari_msd.training.mixing import Mixing
from napari_msd.training.networks import network_of
from napari_msd.training.training_data import TrainingData
from napari_msd.training.validation import measure

_MODE_NAMES: dict[Mode, str] = {"2d": "2-D", "2.5d": "2.5-D", "3d": "3-D"}


def require_input(model: ModelRecord, given: NetworkInput) -> None:
    """Refuse a model that is made for other images than these.

    Raises
    ------
    ModelFileError
        If it was made for another number of channels, or another mode.
    """
    model.require_channels(given.channels)
    wanted = model.network_input
    if (wanted.convolved, wanted.context) != (given.convolved, given.context):
        raise ModelFileError(
            f"This model was trained in {_MODE_NAMES[wanted.mode]}, not in "
            f"{_MODE_NAMES[given.mode]}; choose {_MODE_NAMES[wanted.mode]} to use it."
        )


def normalisation_of(model: ModelRecord) -> AnyNormalisation:
    """What a model expects to be done to an image's pixels."""
    return EachPlane() if model.normalise == "plane" else Normalisation(model.mean, model.std)


def score_of(
    model: ModelRecord,
    data: TrainingData,
    mixing: Mixing | None,
    device: torch.device,
    backend: Literal["auto", "torch"],
) -> float | None:
    """Mean IoU of a model on the strokes that are held out now; None if there are none.

    Parameters
    ----------
    model
        Its own trees may have seen these strokes.
    data
        What is painted, and the pixels.
    mixing
        Trees that have not seen them, in step with the strokes: they take the place of its own.
        None where there are none.
    device, backend
        Where it is computed.

    Raises
    ------
    ModelFileError
        If it was made for another number of channels, or another mode.
    """
    given = data.given._replace(anisotropy=model.anisotropy)
    require_input(model, given)
    network = network_of(model, backend).to(device)
    classes = [info.value for info in model.classes]
    active = [value for value in classes if value in data.classes]
    if not active:
        return None
    normalisation = normalisation_of(model)
    mix = None
    if model.trees is not None:
        mix = ensemble_of(model.trees, given, normalisation, device, backend)
        if mixing is not None:
            assert mixing.trees.measuring is not None
            mix = mixing.ensembles(dict(zip(mix.trees.values, mix.offsets, strict=True)))[1]
    predictor = Predictor(network, normalisation, classes, active, mix)
    return measure(predictor, data.question).mean
