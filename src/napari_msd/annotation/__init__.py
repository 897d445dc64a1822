"""Sparse labels: what is painted, in blocks, which of it is held out, where to paint next."""

from napari_msd.annotation.held_out import HeldOut
from napari_msd.annotation.strokes import Amount, Piece, PieceKey, StrokeStore
from napari_msd.annotation.suggestions import Suggestion, Suggestions

__all__ = [
    "Amount",
    "HeldOut",
    "Piece",
    "PieceKey",
    "StrokeStore",
    "Suggestion",
    "Suggestions",
]
