"""Sparse labels: what is painted, in blocks, and which of it is held out from training."""

from napari_msd.annotation.held_out import HeldOut
from napari_msd.annotation.strokes import Piece, PieceKey, StrokeStore

__all__ = ["HeldOut", "Piece", "PieceKey", "StrokeStore"]
