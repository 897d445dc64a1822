"""An annotation in pieces: the unit that is sampled, balanced and held out.

A *piece* is the painted pixels of one class in one block. A long stroke is a row of pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document.annotation import Annotation, Labels

BLOCK = 16
"""Side of a block in pixels: a short stroke is several pieces, so some can be held out."""


class BlockKey(NamedTuple):
    """A block of a slab: pixels ``at * BLOCK ...`` along each convolved axis."""

    slab: Slab
    at: tuple[int, ...]


class Amount(NamedTuple):
    """How much is painted: pieces, and pixels."""

    pieces: int
    pixels: int


@dataclass(frozen=True)
class Piece:
    """Where a piece's pixels lie.

    `pixels` is (n, convolved) int32, along the convolved axes of its `slab`.
    """

    slab: Slab
    pixels: npt.NDArray[np.int32]

    @property
    def block(self) -> tuple[int, ...]:
        """Index of its block along the convolved axes."""
        return tuple(int(i) // BLOCK for i in self.pixels[0])


class Pieces:
    """The pieces of an annotation, in step with it.

    Parameters
    ----------
    annotation
        What is painted.
    """

    def __init__(self, annotation: Annotation) -> None:
        self._annotation = annotation
        self._pieces: dict[int, dict[BlockKey, Piece]] = {}
        self._values: dict[BlockKey, frozenset[int]] = {}
        """Classes in each block."""
        for box, _ in annotation.chunks():
            self._update(box)
        annotation.follow(self._update)

    def of(self, value: int) -> list[Piece]:
        """The pieces of class `value`, in the order in which they were first painted."""
        return list(self._pieces.get(value, {}).values())

    @property
    def amount(self) -> Amount:
        """How much is painted, of all classes together."""
        pieces = sum(map(len, self._pieces.values()))
        return Amount(pieces, sum(self._annotation.counts.values()))

    def _update(self, box: Box) -> None:
        """Look anew at the blocks that `box` touches."""
        convolved = self._annotation.convolved
        part = box.last(convolved)
        first = [a // BLOCK for a in part.start]
        last = [-(-b // BLOCK) for b in part.stop]
        for slab in Slab.all_of(box, convolved):
            whole = slab.box([a * BLOCK for a in first], [b * BLOCK for b in last])
            values = self._annotation.read(whole).reshape(whole.last(convolved).shape)
            for at, block in _blocks(values):
                index = tuple(a + f for a, f in zip(at, first, strict=True))
                self._look_at(BlockKey(slab, index), block)

    def _look_at(self, key: BlockKey, block: Labels) -> None:
        before = self._values.get(key, frozenset())
        if not before and not block.any():
            return
        now = frozenset(int(value) for value in np.unique(block) if value)
        origin = np.array(key.at, np.int32) * BLOCK
        for value in now:
            pixels = np.argwhere(block == value).astype(np.int32) + origin
            self._pieces.setdefault(value, {})[key] = Piece(key.slab, pixels)
        for value in before - now:
            del self._pieces[value][key]
        if now:
            self._values[key] = now
        else:
            del self._values[key]


def _blocks(values: Labels) -> Iterator[tuple[tuple[int, ...], Labels]]:
    """The blocks of an array whose sides are multiples of `BLOCK`, with their index."""
    for at in product(*(range(n // BLOCK) for n in values.shape)):
        yield at, values[tuple(slice(i * BLOCK, (i + 1) * BLOCK) for i in at)]
