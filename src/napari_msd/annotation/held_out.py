"""Which painted pieces are kept from training, to measure IoU on them.

A piece's role is fixed when it is first painted and stays until it is erased:
what was trained on is never measured on later, nor the other way round.
"""

from __future__ import annotations

import numpy as np

from napari_msd.annotation.strokes import Labels, Piece, PieceKey, StrokeStore
from napari_msd.planes import PlaneKey, Region

SMALLEST_SPLIT = 4
"""A class with fewer pieces than this is trained on whole; it has no IoU yet."""


class HeldOut:
    """The split of a `StrokeStore` into pieces to train on and pieces to measure on.

    Parameters
    ----------
    fraction
        Share of each class's pieces to hold out, 0..0.5.
    seed
        Decides which ones.
    """

    def __init__(self, fraction: float, seed: int) -> None:
        self._fraction = fraction
        self._random = np.random.default_rng([seed, 0x5EED])
        self._held: dict[PieceKey, bool] = {}

    def update(self, strokes: StrokeStore, changed: set[PieceKey]) -> None:
        """Give new pieces a role and forget erased ones.

        Every class keeps at least one piece to train on.
        """
        for value in sorted({key.value for key in changed}):
            pieces = strokes.pieces(value)
            for key in [k for k in self._held if k.value == value and k not in pieces]:
                del self._held[key]
            new = sorted(key for key in pieces if key not in self._held)
            held = sum(self._held[key] for key in pieces if key in self._held)
            wanted = int(self._fraction * len(pieces)) if len(pieces) >= SMALLEST_SPLIT else 0
            for key in (new[i] for i in self._random.permutation(len(new))):
                self._held[key] = held < wanted
                held += self._held[key]
            if pieces and held == len(pieces):
                # Everything trained on was erased: learning comes before measuring.
                self._held[next(iter(pieces))] = False

    def training(self, strokes: StrokeStore, value: int) -> list[Piece]:
        """Pieces of class `value` to train on."""
        return [p for key, p in strokes.pieces(value).items() if not self._held[key]]

    def measured(self, strokes: StrokeStore, value: int) -> list[Piece]:
        """Pieces of class `value` held out."""
        return [p for key, p in strokes.pieces(value).items() if self._held[key]]

    def unmeasured(self, strokes: StrokeStore) -> dict[int, int]:
        """Number of pieces of each class of which none is held out though some should be."""
        if not self._fraction:
            return {}
        return {
            value: len(strokes.pieces(value))
            for value in strokes.classes
            if not self.measured(strokes, value)
        }

    def training_labels(self, strokes: StrokeStore, plane: PlaneKey, region: Region) -> Labels:
        """Painted values of `region` without the held-out ones, uint8 of its shape."""
        labels = strokes.read(plane, region)
        classes = strokes.classes
        for block in strokes.blocks_in(plane, region):
            for value in classes:
                key = PieceKey(block, value)
                if self._held.get(key):
                    rows, columns = (
                        strokes.pieces(value)[key].pixels - (region.top, region.left)
                    ).T
                    inside = (rows >= 0) & (rows < labels.shape[0])
                    inside &= (columns >= 0) & (columns < labels.shape[1])
                    labels[rows[inside], columns[inside]] = 0
        return labels
