"""What a person made: annotation, its validation split, checkpoints of networks, coverage.

Knows NumPy only; neither Qt, napari nor torch. The durable journal belongs here, too.
"""

from napari_msd.document.annotation import Amount, Piece, PieceKey, StrokeStore
from napari_msd.document.checkpoints import History, Version
from napari_msd.document.coverage import Completeness, Coverage
from napari_msd.document.kept_models import NO_IMAGE, KeptModel, KeptModels, Kind
from napari_msd.document.snapshot import BLOCK, StrokeSnapshot
from napari_msd.document.validation_split import ValidationSplit

__all__ = [
    "BLOCK",
    "NO_IMAGE",
    "Amount",
    "Completeness",
    "Coverage",
    "History",
    "KeptModel",
    "KeptModels",
    "Kind",
    "Piece",
    "PieceKey",
    "StrokeSnapshot",
    "StrokeStore",
    "ValidationSplit",
    "Version",
]
