"""Learning from strokes: patches, loss, held-out scores, kept weights."""

from napari_msd.native.device import choose_device, cores_to_ourselves, describe_device
from napari_msd.training.scores import Scores
from napari_msd.training.trainer import Trainer

__all__ = ["Scores", "Trainer", "choose_device", "cores_to_ourselves", "describe_device"]
