"""Sparse labels: what is painted, in blocks, which of it is held out, where to paint next."""

from napari_msd.annotation.strokes import Amount, Piece, PieceKey, StrokeStore
from napari_msd.annotation.suggestions import Suggestion, Suggestions
from napari_msd.annotation.validation_split import ValidationSplit

__all__ = [
    "Amount",
    "Piece",
    "PieceKey",
    "StrokeStore",
    "Suggestion",
    "Suggestions",
    "ValidationSplit",
]
