"""Which painted pixels are kept from training, to measure the IoU on them.

The split is a pure function of (seed, source, block, class). It needs no memory, so it is the same
after strokes are sent again: another device, an earlier checkpoint, a restarted trainer, a
session opened again. No pixel that was ever trained on is ever measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.document.annotation import Annotation, Labels
from napari_msd.document.pieces import BLOCK, Amount, Piece, Pieces

_TURN = 1 << 32
_STEPS = {2: (3242174889, 2447445414), 3: (3518319155, 2882110345, 2360945575)}
"""By number of axes: steps, in parts of `_TURN`, from a block to its neighbour along each axis.

They are 1/g, 1/g², ... for g^(d + 1) = g + 1 in d axes. Their multiples spread evenly over a turn
(M. Roberts, *The unreasonable effectiveness of quasirandom sequences*, 2018): along any stroke the
share of held-out blocks is close to the one asked for, and in 2-D, up to a share of 0.24, no two
neighbours in a row or column are both held out.
"""

_CELL = 4
"""Side in pixels of the checkerboard in a held-out block; see `ValidationSplit`."""


@dataclass(frozen=True)
class _Sides:
    """The two sides of one class, as they were at a revision of the annotation."""

    revision: int
    training: list[Piece]
    measured: list[Piece]
    spare: bool
    """Whether there is nothing to train on but the spare cells of held-out blocks."""


class ValidationSplit:
    """The split of an annotation into pixels to train on and pixels to measure on.

    Parameters
    ----------
    annotation
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

    The same blocks are held out in all slabs of all sources: a neighbouring slice, or another
    recording of the same field, would otherwise give the answer away.
    """

    def __init__(self, annotation: Annotation, fraction: float, seed: int) -> None:
        self._annotation = annotation
        self._all = Pieces(annotation)
        self._steps = np.array(_STEPS[annotation.convolved], np.int64)
        self._threshold = round(fraction * _TURN)
        self._seed = seed
        self._offsets: dict[int, int] = {}
        self._known: dict[int, _Sides] = {}

    def holds_out(self, block: tuple[int, ...], value: int) -> bool:
        """Whether a block is held out for class `value`.

        Parameters
        ----------
        block
            Its index along the convolved axes, in blocks; the same in all slabs of all sources.
        value
            Class value.
        """
        at = self._offset(value) + int(np.dot(block, self._steps))
        return at % _TURN < self._threshold

    def pieces(self, value: int) -> list[Piece]:
        """All pieces of class `value`, in the order in which they were first painted."""
        return self._all.of(value)

    @property
    def amount(self) -> Amount:
        """How much is painted, held out or not."""
        return self._all.amount

    def training(self, value: int) -> list[Piece]:
        """Pieces of class `value` to train on; empty only if nothing of it may be trained on."""
        return self._sides(value).training

    def measured(self, value: int) -> list[Piece]:
        """Held-out pieces of class `value`: never trained on."""
        return self._sides(value).measured

    @property
    def classes(self) -> list[int]:
        """Class values that can be trained on, ascending."""
        return [value for value in self._annotation.classes if self.training(value)]

    @property
    def unmeasured(self) -> dict[int, int]:
        """Number of pieces of each class of which none is held out though some should be."""
        if not self._threshold:
            return {}
        return {
            value: len(self.pieces(value))
            for value in self._annotation.classes
            if not self.measured(value)
        }

    def training_labels(self, box: Box) -> Labels:
        """Painted values of `box` that may be trained on, uint8 of its shape, 0 elsewhere."""
        labels = self._annotation.read(box)
        part = box.last(self._annotation.convolved)
        if not self._threshold:
            return labels
        for value in (int(v) for v in np.flatnonzero(np.bincount(labels.ravel())) if v):
            hidden = self._held_out(part, value)
            if self._sides(value).spare:
                hidden &= _black(part)
            labels *= (labels != value) | ~hidden
        return labels

    def _held_out(self, part: Box, value: int) -> npt.NDArray[np.bool_]:
        """Which pixels of a box along the convolved axes lie in blocks held out for a class."""
        first = [start // BLOCK for start in part.start]
        turns = [
            step * np.arange(at, (stop - 1) // BLOCK + 1)
            for at, stop, step in zip(first, part.stop, self._steps, strict=True)
        ]
        held = (_sum_over_grid(turns) + self._offset(value)) % _TURN < self._threshold
        # repeated and cropped: an index for each pixel takes four times as long
        for axis in range(held.ndim):
            held = held.repeat(BLOCK, axis)
        start = [-(at * BLOCK) for at in first]
        inside: npt.NDArray[np.bool_] = held[part.shift(start).slices]
        return inside

    def _offset(self, value: int) -> int:
        offset = self._offsets.get(value)
        if offset is None:
            digest = blake2b(f"{self._seed} {value}".encode(), digest_size=4).digest()
            offset = self._offsets[value] = int.from_bytes(digest, "little")
        return offset

    def _sides(self, value: int) -> _Sides:
        known = self._known.get(value)
        if known is None or known.revision != self._annotation.revision:
            training: list[Piece] = []
            held_out: list[Piece] = []
            for piece in self.pieces(value):
                (held_out if self.holds_out(piece.block, value) else training).append(piece)
            measured = [part for piece in held_out if (part := _cells(piece, black=True))]
            spare = not training
            if spare:
                training = [part for piece in held_out if (part := _cells(piece, black=False))]
            known = _Sides(self._annotation.revision, training, measured, spare)
            self._known[value] = known
        return known


def _black(part: Box) -> npt.NDArray[np.bool_]:
    """Pixels of a box along the convolved axes that are measured on, where they are held out."""
    cells = [np.arange(a, b) // _CELL for a, b in zip(part.start, part.stop, strict=True)]
    black: npt.NDArray[np.bool_] = _sum_over_grid(cells) % 2 == 0
    return black


def _sum_over_grid(along: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Sums of one value per axis, at every point of the grid that the axes span."""
    total = along[0]
    for more in along[1:]:
        total = np.add.outer(total, more)
    return total


def _cells(piece: Piece, *, black: bool) -> Piece | None:
    """The part of a piece on the black (measured) or the white (spare) cells, if any."""
    there = (piece.pixels // _CELL).sum(axis=1) % 2 == 0
    pixels = piece.pixels[there == black]
    return Piece(piece.slab, pixels) if len(pixels) else None
