"""From a trained network to labels: normalised planes, halo-correct tiles."""

from napari_msd.inference.normalisation import (
    AnyNormalisation,
    EachPlane,
    Normalisation,
    channels_first,
)
from napari_msd.inference.predictor import Predictor
from napari_msd.inference.slab_pixels import Plane, SlabPixels
from napari_msd.inference.tiles import tiles_of

__all__ = [
    "AnyNormalisation",
    "EachPlane",
    "Normalisation",
    "Plane",
    "Predictor",
    "SlabPixels",
    "channels_first",
    "tiles_of",
]
