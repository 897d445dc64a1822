"""From a trained network to labels: normalised planes, halo-correct tiles."""

from napari_msd.inference.normalisation import Normalisation
from napari_msd.inference.predictor import Predictor
from napari_msd.inference.tiles import tiles_of

__all__ = ["Normalisation", "Predictor", "tiles_of"]
