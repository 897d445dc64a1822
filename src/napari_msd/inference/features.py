"""What decision trees are told of a pixel: filter responses, and maps of the shipped layers."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Hashable
from functools import reduce
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from napari_msd.core.box import Box
from napari_msd.core.space import NetworkInput
from napari_msd.inference.normalisation import AnyNormalisation, Pixels
from napari_msd.inference.responses import REACH, filter_responses, n_responses
from napari_msd.inference.slab_pixels import SlabPixels
from napari_msd.inference.tiles import tiles_touched
from napari_msd.network import MSDNet

TILE = 512
"""Features are computed for tiles of at most this side, which bounds their memory."""

SMALL_TILE = 128
"""The same for the painted pixels of a large slab: most of a tile would be computed in vain."""

FEATURE_BYTES = 512 * 2**20
"""Features that are kept, so that they are computed once for a tile and not at every look."""

ROW_BYTES = 256 * 2**20
"""Features of painted pixels that are kept."""

MANY_CHANNELS = 8
"""An image of more channels is filtered in their mean only."""

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")


class SlabCache(Generic[Key, Entry]):
    """What was last computed for parts of slabs, up to a number of bytes.

    Slabs are told apart as objects: another object is another slab, whatever is in it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._entries: OrderedDict[tuple[int, Key], tuple[weakref.ref[SlabPixels], Entry, int]] = (
            OrderedDict()
        )

    def get(self, slab: SlabPixels, part: Key) -> Entry | None:
        """What was put here for this part, if it is still there."""
        known = self._entries.get((id(slab), part))
        if known is None or known[0]() is not slab:
            return None
        self._entries.move_to_end((id(slab), part))
        return known[1]

    def put(self, slab: SlabPixels, part: Key, entry: Entry, size: int) -> None:
        """Keep an entry of `size` bytes; the oldest ones go, and those of slabs that are gone."""
        for key in [key for key, value in self._entries.items() if value[0]() is None]:
            self._bytes -= self._entries.pop(key)[2]
        replaced = self._entries.pop((id(slab), part), None)
        self._bytes += size - (replaced[2] if replaced is not None else 0)
        self._entries[id(slab), part] = weakref.ref(slab), entry, size
        while self._bytes > self._limit and len(self._entries) > 1:
            self._bytes -= self._entries.popitem(last=False)[1][2]

    def shrink(self) -> None:
        """Forget everything, and keep half as much from now on."""
        self._limit //= 2
        self._bytes = 0
        self._entries.clear()


class PixelFeatures:
    """Computes features of pixels.

    Parameters
    ----------
    bank
        Network of one input channel whose outputs are its maps (see `with_read_out`). It sees
        the mean of an image's channels.
    normalisation
        What is done to a slab first.
    given
        What a network is given of the images.
    """

    def __init__(self, bank: MSDNet, normalisation: AnyNormalisation, given: NetworkInput) -> None:
        self.given = given
        self.bank = bank
        self.normalisation = normalisation
        self._cache = SlabCache[Box, Pixels](FEATURE_BYTES)
        self._rows = SlabCache[tuple[Box, bytes], npt.NDArray[np.float32]](ROW_BYTES)

    def spare_memory(self) -> None:
        """Forget what was computed for slabs, and keep less from now on."""
        self._cache.shrink()
        self._rows.shrink()

    def count(self, channels: int) -> int:
        """Features of each pixel of an image of so many channels."""
        filtered = channels if channels <= MANY_CHANNELS else 1
        raw = channels if channels > 1 else 0
        return n_responses(filtered) + raw + self.bank.n_classes

    def halo(self, n_axes: int) -> tuple[int, ...]:
        """Pixels on each side that features depend on, along each of so many axes."""
        return (max(self.bank.receptive_radius, REACH),) * n_axes

    def reads(self, shape: tuple[int, ...], box: Box) -> Box:
        """What is read of a slab of `shape`, without channels, for the features of a box."""
        return self._around(shape, tiles_of_slab(shape, box))

    def reads_at(self, shape: tuple[int, ...], box: Box) -> Box:
        """What is read of a large slab of `shape` for single pixels in a box."""
        return self._around(shape, small_tiles_of_slab(shape, box))

    def _around(self, shape: tuple[int, ...], tiles: list[Box]) -> Box:
        hull = reduce(Box.hull, tiles)
        return hull.grow(self.halo(hull.ndim)).clip(shape)

    def tile(self, slab: SlabPixels, tile: Box) -> Pixels:
        """Features of one tile of `tiles_of_slab`: (count, rows, columns) float32.

        They equal those of the slab computed at once. Not to be written to.
        """
        known = self._cache.get(slab, tile)
        if known is None:
            read = tile.grow(self.halo(tile.ndim)).clip(slab.shape[1:])
            pixels = self.normalisation.for_slab(slab).apply(slab.read(read))
            inner = tile.within(read).slices
            known = np.ascontiguousarray(self.of(pixels)[(slice(None), *inner)])
            self._cache.put(slab, tile, known, known.nbytes)
        return known

    def at(self, slab: SlabPixels, pixels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Features of single pixels, (n, count) float32; `pixels` is (n, 2), (Y, X) in the slab.

        They are kept apart from whole tiles: painted pixels are asked for again and again,
        on more slabs than there is memory for tiles. Not to be written to.
        """
        start, stop = pixels.min(axis=0).tolist(), (pixels.max(axis=0) + 1).tolist()
        box = Box(0, tuple(start), tuple(stop))
        key = box, blake2b(pixels.tobytes(), digest_size=16).digest()
        known = self._rows.get(slab, key)
        if known is None:
            known = np.empty((len(pixels), self.count(len(slab))), np.float32)
            tiles_at = tiles_of_slab if slab.in_one_block else small_tiles_of_slab
            for tile in tiles_at(slab.shape[1:], box):
                inside = ((pixels >= tile.start) & (pixels < tile.stop)).all(axis=1)
                if inside.any():
                    there = (pixels[inside] - tile.start).T
                    known[inside] = self.tile(slab, tile)[(slice(None), *there)].T
            self._rows.put(slab, key, known, known.nbytes)
        return known

    @torch.no_grad()
    def of(self, pixels: Pixels) -> Pixels:
        """Features of normalised pixels (C, rows, columns), mirrored at the edges."""
        mean = pixels.mean(axis=0, keepdims=True)
        filtered = pixels if len(pixels) <= MANY_CHANNELS else mean
        image = torch.from_numpy(np.ascontiguousarray(mean)).to(self.bank.weight.device)
        maps = self.bank(image[None])[0].cpu().numpy()
        raw = [pixels] if len(pixels) > 1 else []
        return np.concatenate([filter_responses(filtered), *raw, maps])


def tiles_of_slab(shape: tuple[int, ...], box: Box) -> list[Box]:
    """The tiles that features are computed for, as far as `box` touches them.

    They depend on the slab's shape (without channels) only, so that each is computed once.
    """
    return tiles_touched(Box.whole(box.source, shape), TILE, box)


def small_tiles_of_slab(shape: tuple[int, ...], box: Box) -> list[Box]:
    """Tiles for single pixels of a large slab, where strokes lie far apart."""
    return tiles_touched(Box.whole(box.source, shape), SMALL_TILE, box)
