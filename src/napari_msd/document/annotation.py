"""What is painted, kept in small blocks so that a stroke costs its own size.

A *piece* is the painted pixels of one class in one block: the unit that is
sampled, balanced and held out. A long stroke is a row of pieces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey, Region

Labels = npt.NDArray[np.uint8]

BLOCK = 16
"""Side of a block in pixels: a short stroke is several pieces, so some can be held out."""


class BlockKey(NamedTuple):
    """A block of a plane: rows ``row*BLOCK...``, columns ``column*BLOCK...``."""

    plane: PlaneKey
    row: int
    column: int


class PieceKey(NamedTuple):
    """The painted pixels of one class in one block."""

    block: BlockKey
    value: int


class Amount(NamedTuple):
    """How much is painted: pieces, and pixels."""

    pieces: int
    pixels: int


@dataclass(frozen=True)
class Piece:
    """Where a piece's pixels lie.

    `pixels` is (n, 2) int32, (Y, X) in the plane; `plane` its plane.
    """

    plane: PlaneKey
    pixels: npt.NDArray[np.int32]


def block_keys(plane: PlaneKey, region: Region) -> Iterator[BlockKey]:
    """The blocks that `region` of `plane` touches."""
    if region.empty:
        return
    for row in range(region.top // BLOCK, (region.bottom - 1) // BLOCK + 1):
        for column in range(region.left // BLOCK, (region.right - 1) // BLOCK + 1):
            yield BlockKey(plane, row, column)


def _overlap(key: BlockKey, region: Region) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a block and `region` meet: slices inside the block, slices in the region."""
    top, left = key.row * BLOCK, key.column * BLOCK
    shared = Region(top, left, top + BLOCK, left + BLOCK).intersect(region)
    return shared.shift(-top, -left).slices, shared.shift(-region.top, -region.left).slices


class StrokeStore:
    """The painted pixels of all planes, by block and class.

    0 means "nothing painted"; classes are 1..255.
    """

    def __init__(self) -> None:
        self._blocks: dict[BlockKey, Labels] = {}
        self._pieces: dict[int, dict[PieceKey, Piece]] = {}
        self._planes: Counter[PlaneKey] = Counter()
        self.revision = 0
        """Rises with every change, so that what is derived from strokes can be kept."""

    def write(self, plane: PlaneKey, region: Region, values: Labels) -> set[PieceKey]:
        """Replace the painted values of `region` by `values`, uint8 of its shape.

        Returns
        -------
        set of PieceKey
            Pieces that came, went or changed: empty if nothing did.
        """
        changed: set[PieceKey] = set()
        for key in block_keys(plane, region):
            inside, within = _overlap(key, region)
            old = self._blocks.get(key)
            part = values[within]
            if old is None:
                if not part.any():
                    continue
                old = np.zeros((BLOCK, BLOCK), np.uint8)
            elif np.array_equal(old[inside], part):
                continue
            new = old.copy()
            new[inside] = part
            changed |= self._replace(key, old, new)
        self.revision += bool(changed)
        return changed

    def read(
        self,
        plane: PlaneKey,
        region: Region,
        look: Callable[[BlockKey, Labels], Labels] | None = None,
    ) -> Labels:
        """Painted values of `region`, uint8 of its shape.

        `look`, if given, is handed each block with its key and answers with what to read
        instead; it must not change the block.
        """
        out = np.zeros(region.shape, np.uint8)
        for key in self.blocks_in(plane, region):
            inside, within = _overlap(key, region)
            block = self._blocks[key]
            out[within] = (block if look is None else look(key, block))[inside]
        return out

    def blocks_in(self, plane: PlaneKey, region: Region) -> Iterator[BlockKey]:
        """The blocks with strokes that `region` touches."""
        return (key for key in block_keys(plane, region) if key in self._blocks)

    def pieces(self, value: int) -> dict[PieceKey, Piece]:
        """The pieces of class `value`, in the order in which they were first painted."""
        return self._pieces.get(value, {})

    @property
    def classes(self) -> list[int]:
        """Values painted anywhere, ascending."""
        return sorted(value for value, pieces in self._pieces.items() if pieces)

    @property
    def planes(self) -> set[PlaneKey]:
        """Planes with anything painted."""
        return set(self._planes)

    def painted_blocks(self, plane: PlaneKey, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Which of the first `shape` (rows, columns) blocks of a plane hold strokes."""
        painted = np.zeros(shape, np.bool_)
        for key in self._blocks:
            if key.plane == plane and key.row < shape[0] and key.column < shape[1]:
                painted[key.row, key.column] = True
        return painted

    def count(self, value: int) -> int:
        """Painted pixels of class `value`."""
        return sum(len(piece.pixels) for piece in self.pieces(value).values())

    @property
    def amount(self) -> Amount:
        """How much is painted, of all classes together."""
        pieces = sum(map(len, self._pieces.values()))
        return Amount(pieces, sum(map(self.count, self._pieces)))

    def blocks(self) -> Iterator[tuple[PlaneKey, Region, Labels]]:
        """Everything painted, as arguments for the `write` of another store."""
        for key, block in self._blocks.items():
            top, left = key.row * BLOCK, key.column * BLOCK
            region = Region(top, left, top + BLOCK, left + BLOCK)
            yield key.plane, region, block

    def _replace(self, key: BlockKey, old: Labels, new: Labels) -> set[PieceKey]:
        """Put block `new` in place of `old` and bring its pieces up to date."""
        if new.any():
            self._planes[key.plane] += key not in self._blocks
            self._blocks[key] = new
        elif self._blocks.pop(key, None) is not None:
            self._planes[key.plane] -= 1
            if not self._planes[key.plane]:
                del self._planes[key.plane]
        differs = old != new
        touched = {int(v) for v in np.union1d(old[differs], new[differs]) if v}
        origin = np.array([key.row * BLOCK, key.column * BLOCK], np.int32)
        for value in touched:
            pieces = self._pieces.setdefault(value, {})
            pixels = np.argwhere(new == value).astype(np.int32) + origin
            piece_key = PieceKey(key, value)
            if len(pixels):
                pieces[piece_key] = Piece(key.plane, pixels)
            else:
                pieces.pop(piece_key, None)
        return {PieceKey(key, value) for value in touched}
