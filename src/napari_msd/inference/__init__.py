"""From a trained network to labels: normalised planes, halo-correct tiles."""

from napari_msd.inference.normalisation import (
    AnyNormalisation,
    EachPlane,
    Normalisation,
    Plane,
    channels_first,
)
from napari_msd.inference.predictor import Predictor
from napari_msd.inference.tiles import tiles_of

__all__ = [
    "AnyNormalisation",
    "EachPlane",
    "Normalisation",
    "Plane",
    "Predictor",
    "channels_first",
    "tiles_of",
]
