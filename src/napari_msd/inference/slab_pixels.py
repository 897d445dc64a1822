"""Pixels of one slab, as far as they are at hand.

A slab that fits the memory well is one block. A larger one is a grid of blocks, of which only
those are asked for that strokes, the view or a tile need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import product
from math import prod
from typing import Self

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box

Plane = npt.NDArray[np.generic]
"""Pixels as they are in the image: channels first, then the convolved axes, (C, [Z,] Y, X)."""

ONE_BLOCK = 2**24
"""A slab of so many pixels at most is one block."""

BLOCK_SHAPE = {2: (512, 512), 3: (64, 128, 128)}
"""Of a larger slab, by its number of axes: small beside the memory, large beside a message."""

SAMPLED = 3
"""Blocks along each axis of a large slab that tell its grey values."""


class SlabPixels:
    """Pixels (C, [Z,] Y, X) of one slab, in blocks.

    Boxes here are along the convolved axes; axes before them, and the source, are not looked at.

    Parameters
    ----------
    n_channels
        Values per pixel.
    shape
        Lengths of the convolved axes.
    block
        Shape of a block; by default as large as the slab, or `BLOCK_SHAPE` for a large one.
    around
        What training reads because of pixels painted in a box; the box itself if not given.
    """

    def __init__(
        self,
        n_channels: int,
        shape: tuple[int, ...],
        block: tuple[int, ...] | None = None,
        around: Callable[[Box], Box] | None = None,
    ) -> None:
        self.shape = (n_channels, *shape)
        self._around = around
        if block is None:
            block = shape if prod(shape) <= ONE_BLOCK else BLOCK_SHAPE[len(shape)]
        self._block = block
        self._whole = Box.whole(0, shape)
        self._blocks: dict[tuple[int, ...], Plane] = {}
        self._sample: dict[tuple[int, ...], Plane | None] = dict.fromkeys(self._sampled())
        """By block: its pixels, for the normalisation; kept when the block is dropped."""

    @classmethod
    def whole(cls, plane: Plane) -> Self:
        """All of a slab at once: (C, [Z,] Y, X)."""
        shape = plane.shape[1:]
        pixels = cls(len(plane), shape, shape)
        pixels.put(pixels._whole, plane)
        return pixels

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes, that of channels included."""
        return len(self.shape)

    @property
    def in_one_block(self) -> bool:
        """Whether it comes as a whole."""
        return self._block == self._whole.shape

    # --- what is here --------------------------------------------------------------------

    def put(self, box: Box, plane: Plane) -> None:
        """Take in the pixels (C, ...) of a block.

        Raises
        ------
        ValueError
            If `box` is no block of this slab, or `plane` has not its shape.
        """
        box = self._here(box)
        at = tuple(a // side for a, side in zip(box.start, self._block, strict=True))
        if box != self._box(at) or plane.shape != (len(self), *box.shape):
            raise ValueError(f"pixels of shape {plane.shape} are no block {box} of {self.shape}")
        self._blocks[at] = plane
        if at in self._sample:
            self._sample[at] = plane if self.in_one_block else plane.copy()

    def leave_out(self, box: Box) -> None:
        """A block cannot be read: the grey values are told by the others, if there are some."""
        for at in self._touched(box):
            if len(self._sample) > 1 and self._sample.get(at, self) is None:
                del self._sample[at]

    def around(self, box: Box) -> Box:
        """What training reads because of pixels painted in `box`."""
        box = self._here(box)
        return box if self._around is None or self.in_one_block else self._around(box)

    def serves(self, pixels: npt.NDArray[np.int32]) -> bool:
        """Whether all is here that training reads because of painted `pixels`, (n, axes)."""
        start, stop = pixels.min(axis=0).tolist(), (pixels.max(axis=0) + 1).tolist()
        return self.has(self.around(Box(0, tuple(start), tuple(stop))))

    def blocks_of(self, box: Box) -> list[Box]:
        """The blocks that a box touches, whether here or not."""
        return [self._box(at) for at in self._touched(box)]

    def missing(self, box: Box | None = None) -> list[Box]:
        """Blocks that are not here: of a box, or those that tell the grey values."""
        if box is None:
            return [self._box(at) for at, plane in self._sample.items() if plane is None]
        return [self._box(at) for at in self._touched(box) if at not in self._blocks]

    def has(self, box: Box) -> bool:
        """Whether all pixels of a box are here, and the grey values of the slab are known."""
        return not self.missing() and all(at in self._blocks for at in self._touched(box))

    def read(self, box: Box) -> Plane:
        """Pixels (C, ...) of a box; a view where it lies in one block. Not to be written to.

        Raises
        ------
        LookupError
            If some of them are not here.
        """
        box = self._here(box)
        touched = list(self._touched(box))
        if len(touched) == 1:
            block = self._box(touched[0])
            return self._blocks[touched[0]][(slice(None), *box.within(block).slices)]
        first = self._blocks[touched[0]]
        out = np.empty((len(self), *box.shape), first.dtype)
        for at in touched:
            block = self._box(at)
            part = block.intersect(box)
            there, inner = part.within(box).slices, part.within(block).slices
            out[(slice(None), *there)] = self._blocks[at][(slice(None), *inner)]
        return out

    def sample(self) -> Plane:
        """Pixels that tell its grey values: all of a single block, else (C, n) of some blocks.

        Raises
        ------
        LookupError
            If they are not here yet.
        """
        found = [plane for plane in self._sample.values() if plane is not None]
        if len(found) < len(self._sample):
            raise LookupError("the blocks that tell the grey values are not here yet")
        if self.in_one_block:
            return found[0]
        return np.concatenate([plane.reshape(len(self), -1) for plane in found], axis=1)

    def near_sample(self, box: Box) -> Box:
        """The box moved into the nearest of the blocks that tell the grey values of a large slab.

        It need not be read for its own sake then. As it is where the slab is one block.
        """
        if self.in_one_block:
            return box
        n = self.ndim - 1
        blocks = [self._box(at) for at in self._sample]
        centre = box.centre[-n:]
        block = min(
            blocks,
            key=lambda b: sum((x - y) ** 2 for x, y in zip(b.centre, centre, strict=True)),
        )
        start = [
            max(low, min(a, high - length))
            for a, low, high, length in zip(
                box.start[-n:], block.start, block.stop, box.shape[-n:], strict=True
            )
        ]
        by = [a - b for a, b in zip(start, box.start[-n:], strict=True)]
        return box.shift([0] * (box.ndim - n) + by)

    def keep(self, boxes: Iterable[Box]) -> None:
        """Forget all blocks but those that these boxes touch."""
        kept = {at for box in boxes for at in self._touched(box)}
        for at in self._blocks.keys() - kept:
            del self._blocks[at]

    # --- inside --------------------------------------------------------------------------

    def _here(self, box: Box) -> Box:
        """The box along this slab's axes; its source is not looked at."""
        n = self.ndim - 1
        return Box(0, box.start[-n:], box.stop[-n:])

    def _box(self, at: Collection[int]) -> Box:
        start = tuple(i * side for i, side in zip(at, self._block, strict=True))
        stop = tuple(a + side for a, side in zip(start, self._block, strict=True))
        return Box(0, start, stop).clip(self.shape[1:])

    def _touched(self, box: Box) -> Iterable[tuple[int, ...]]:
        box = self._here(box).clip(self.shape[1:])
        if box.empty:
            return ()
        return product(
            *(
                range(a // side, -(-b // side))
                for a, b, side in zip(box.start, box.stop, self._block, strict=True)
            )
        )

    def _sampled(self) -> Iterable[tuple[int, ...]]:
        """The blocks that tell the grey values, spread evenly over the slab."""
        along = []
        for length, side in zip(self.shape[1:], self._block, strict=True):
            n = -(-length // side)
            along.append(sorted({(2 * i + 1) * n // (2 * SAMPLED) for i in range(SAMPLED)}))
        return product(*along)
