"""Which painted pixels are kept from training, to measure the IoU on them.

The split is a pure function of (seed, block, class). It needs no memory, so it is the same
after strokes are sent again: another device, an earlier checkpoint, a restarted trainer, a
session opened again. No pixel that was ever trained on is ever measured on.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey, Region
from napari_msd.document.annotation import BLOCK, BlockKey, Labels, Piece, StrokeStore

_TURN = 1 << 32
_ROW, _COLUMN = 3242174889, 2447445414
"""Steps, in parts of `_TURN`, from a block to the one below and to the one on its right.

They are 1/g and 1/g² for g³ = g + 1. Their multiples spread evenly over a turn (M. Roberts,
*The unreasonable effectiveness of quasirandom sequences*, 2018): along any stroke the share
of held-out blocks is close to the one asked for, and up to a share of 0.24 no two neighbours
in a row or column are both held out.
"""

_CELL = 4
"""Side in pixels of the checkerboard in a held-out block; see `ValidationSplit`."""


@dataclass(frozen=True)
class _Pieces:
    """The two sides of one class, as they were at a revision of the strokes."""

    revision: int
    training: list[Piece]
    measured: list[Piece]
    spare: bool
    """Whether there is nothing to train on but the spare cells of held-out blocks."""


class ValidationSplit:
    """The split of a `StrokeStore` into pixels to train on and pixels to measure on.

    Parameters
    ----------
    strokes
        What is painted.
    fraction
        Share of the blocks to hold out for each class, 0..0.5.
    seed
        Decides which ones.

    Notes
    -----
    A class must be learned even if all that is painted of it lies in held-out blocks (one dab
    of the brush, for instance). So a held-out block is measured only on the black cells of a
    checkerboard. Its white cells are spare: they are trained on while their class has no
    other pixels. A dab wider than a cell always has both.

    The same blocks are held out in all planes: a neighbouring slice, often nearly the same
    image, would otherwise give the answer away.
    """

    def __init__(self, strokes: StrokeStore, fraction: float, seed: int) -> None:
        self._strokes = strokes
        self._threshold = round(fraction * _TURN)
        self._seed = seed
        self._offsets: dict[int, int] = {}
        self._known: dict[int, _Pieces] = {}
        self._blocks: dict[BlockKey, tuple[Labels, frozenset[int], Labels]] = {}

    def holds_out(self, row: int, column: int, value: int) -> bool:
        """Whether the block in this row and column of blocks is held out for class `value`."""
        at = self._offset(value) + row * _ROW + column * _COLUMN
        return at % _TURN < self._threshold

    def training(self, value: int) -> list[Piece]:
        """Pieces of class `value` to train on; empty only if nothing of it may be trained on."""
        return self._pieces(value).training

    def measured(self, value: int) -> list[Piece]:
        """Held-out pieces of class `value`: never trained on."""
        return self._pieces(value).measured

    @property
    def classes(self) -> list[int]:
        """Class values that can be trained on, ascending."""
        return [value for value in self._strokes.classes if self.training(value)]

    @property
    def unmeasured(self) -> dict[int, int]:
        """Number of pieces of each class of which none is held out though some should be."""
        if not self._threshold:
            return {}
        return {
            value: len(self._strokes.pieces(value))
            for value in self._strokes.classes
            if not self.measured(value)
        }

    def training_labels(self, plane: PlaneKey, region: Region) -> Labels:
        """Painted values of `region` that may be trained on, uint8 of its shape, 0 elsewhere."""
        return self._strokes.read(plane, region, self._training_block)

    def _offset(self, value: int) -> int:
        offset = self._offsets.get(value)
        if offset is None:
            digest = blake2b(f"{self._seed} {value}".encode(), digest_size=4).digest()
            offset = self._offsets[value] = int.from_bytes(digest, "little")
        return offset

    def _pieces(self, value: int) -> _Pieces:
        known = self._known.get(value)
        if known is None or known.revision != self._strokes.revision:
            training: list[Piece] = []
            held_out: list[Piece] = []
            for key, piece in self._strokes.pieces(value).items():
                held = self.holds_out(key.block.row, key.block.column, value)
                (held_out if held else training).append(piece)
            measured = [part for piece in held_out if (part := _cells(piece, black=True))]
            spare = not training
            if spare:
                training = [part for piece in held_out if (part := _cells(piece, black=False))]
            known = _Pieces(self._strokes.revision, training, measured, spare)
            self._known[value] = known
        return known

    def _training_block(self, key: BlockKey, block: Labels) -> Labels:
        """A block without the pixels that may not be trained on."""
        values = [int(value) for value in np.unique(block) if value]
        held = [value for value in values if self.holds_out(key.row, key.column, value)]
        if not held:
            return block
        spare = frozenset(value for value in held if self._pieces(value).spare)
        known = self._blocks.get(key)
        if known is not None and known[0] is block and known[1] == spare:
            return known[2]
        allowed = block.copy()
        for value in held:
            hidden = block == value
            if value in spare:
                hidden &= _BLACK
            allowed[hidden] = 0
        self._blocks[key] = (block, spare, allowed)
        return allowed


def _checkerboard() -> npt.NDArray[np.bool_]:
    cells = np.arange(BLOCK) // _CELL
    black: npt.NDArray[np.bool_] = (cells[:, None] + cells[None, :]) % 2 == 0
    return black


_BLACK = _checkerboard()
"""Pixels of a held-out block that are measured on."""


def _cells(piece: Piece, *, black: bool) -> Piece | None:
    """The part of a piece on the black (measured) or the white (spare) cells, if any."""
    rows, columns = (piece.pixels % BLOCK).T
    pixels = piece.pixels[_BLACK[rows, columns] == black]
    return Piece(piece.plane, pixels) if len(pixels) else None
