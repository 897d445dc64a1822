"""What decision trees are told of a pixel, computed tile by tile and kept."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Hashable
from functools import reduce
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.space import NetworkInput
from napari_msd.inference.normalisation import AnyNormalisation, Pixels
from napari_msd.inference.plane_features import PlaneFeatures
from napari_msd.inference.slab_pixels import SlabPixels
from napari_msd.inference.tiles import tiles_touched
from napari_msd.inference.volume_features import VolumeFeatures
from napari_msd.network import MSDNet

TILE = {2: (512, 512), 3: (8, 256, 256)}
"""Features are computed for tiles of at most this shape, by the number of axes, which bounds their
memory. Few slices: strokes and the view lie in planes."""

SMALL_TILE = {2: (128, 128), 3: (8, 64, 64)}
"""The same for the painted pixels of a large slab: most of a tile would be computed in vain."""

FEATURE_BYTES = 512 * 2**20
"""Features that are kept, so that they are computed once for a tile and not at every look."""

LARGE_FEATURE_BYTES = 128 * 2**20
"""Of large slabs: a view of one would fill more, and features are needed again only when strokes
have changed."""

ROW_BYTES = 256 * 2**20
"""Features of painted pixels that are kept."""

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
        Network of one input channel whose outputs are its maps (see `with_read_out`), for planes:
        see `PlaneFeatures`. Trees do without in volumes (docs/learning.md).
    normalisation
        What is done to a slab first.
    given
        What a network is given of the images.
    """

    def __init__(
        self, bank: MSDNet | None, normalisation: AnyNormalisation, given: NetworkInput
    ) -> None:
        self.given = given
        self.bank = bank if given.convolved == 2 else None
        self.normalisation = normalisation
        self._computed: PlaneFeatures | VolumeFeatures = (
            PlaneFeatures(self.bank, given.context)
            if given.convolved == 2
            else VolumeFeatures(given.anisotropy)
        )
        self._cache = SlabCache[Box, Pixels](FEATURE_BYTES)
        self._of_large = SlabCache[Box, Pixels](LARGE_FEATURE_BYTES)
        self._rows = SlabCache[tuple[Box, bytes], npt.NDArray[np.float32]](ROW_BYTES)

    def spare_memory(self) -> None:
        """Forget what was computed for slabs, and keep less from now on."""
        self._cache.shrink()
        self._of_large.shrink()
        self._rows.shrink()

    def count(self, values: int) -> int:
        """Features of each pixel, of images with so many values per pixel."""
        return self._computed.count(values)

    def reads(self, shape: tuple[int, ...], box: Box) -> Box:
        """What is read of a slab of `shape`, without channels, for the features of a box."""
        return self._around(shape, tiles_of_slab(shape, box))

    def reads_at(self, shape: tuple[int, ...], box: Box) -> Box:
        """What is read of a large slab of `shape` for single pixels in a box."""
        return self._around(shape, small_tiles_of_slab(shape, box))

    def _around(self, shape: tuple[int, ...], tiles: list[Box]) -> Box:
        hull = reduce(Box.hull, tiles)
        return hull.grow(self._computed.reach).clip(shape)

    def tile(self, slab: SlabPixels, tile: Box) -> Pixels:
        """Features of one tile of `tiles_of_slab`: (count, [planes,] rows, columns) float32.

        They equal those of the slab computed at once. Not to be written to.
        """
        cache = self._cache if slab.in_one_block else self._of_large
        known = cache.get(slab, tile)
        if known is None:
            read = tile.grow(self._computed.reach).clip(slab.shape[1:])
            pixels = self.normalisation.for_slab(slab).apply(slab.read(read))
            known = self._computed.of(pixels, tile.within(read).slices)
            cache.put(slab, tile, known, known.nbytes)
        return known

    def at(self, slab: SlabPixels, pixels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Features of single pixels, (n, count) float32; `pixels` is (n, axes), places in the slab.

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

    def of(self, pixels: Pixels) -> Pixels:
        """Features of all normalised pixels (values, [Z,] Y, X), mirrored at the edges."""
        return self._computed.of(pixels, Box.whole(0, pixels.shape[1:]).slices)


def tiles_of_slab(shape: tuple[int, ...], box: Box) -> list[Box]:
    """The tiles that features are computed for, as far as `box` touches them.

    They depend on the slab's shape (without channels) only, so that each is computed once.
    """
    return tiles_touched(Box.whole(box.source, shape), TILE[len(shape)], box)


def small_tiles_of_slab(shape: tuple[int, ...], box: Box) -> list[Box]:
    """Tiles for single pixels of a large slab, where strokes lie far apart."""
    return tiles_touched(Box.whole(box.source, shape), SMALL_TILE[len(shape)], box)
