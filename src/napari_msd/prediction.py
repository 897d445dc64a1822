"""Predicts an image of any size block by block, while the next pixels are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.source import Sink
from napari_msd.core.space import Slab, Space
from napari_msd.images.reduced import Pixels
from napari_msd.images.result import What
from napari_msd.inference import Plane, Predictor, SlabPixels, channels_first

TILE = {2: (1024, 1024), 3: (64, 256, 256)}
"""Predicted at once, by the number of convolved axes: multiples of the chunks of an OME-Zarr."""

Reader = Callable[[Box], Pixels]


@runtime_checkable
class Resumable(Protocol):
    """A sink that knows which boxes are done, as `napari_msd.images.zarr_sink.OmeZarrSink`."""

    def missing(self, boxes: Iterable[Box]) -> list[Box]:
        """Those of `boxes` that are not done."""


@dataclass(frozen=True)
class Answers:
    """What is asked of a network.

    Parameters
    ----------
    predictor
        The network.
    what
        The kind of answer.
    temperature
        Makes the network as sure as it is right; for the uncertainty.
    """

    predictor: Predictor
    what: What = "labels"
    temperature: float = 1.0

    def of(self, pixels: SlabPixels, tile: Box) -> npt.NDArray[np.generic]:
        """The answer for a tile: of its shape, with the classes behind for probabilities."""
        if self.what == "labels":
            return self.predictor.labels(pixels, tile).reshape(tile.shape)
        if self.what == "uncertainty":
            found = self.predictor.labels_and_uncertainty(pixels, tile, self.temperature)
            return found[1].reshape(tile.shape)
        probabilities = np.moveaxis(self.predictor.probabilities(pixels, tile), 0, -1)
        return probabilities.reshape(*tile.shape, -1)


def predict_into(
    sink: Sink,
    answers: Answers,
    read: Reader,
    space: Space,
    callback: Callable[[float], object] | None = None,
) -> None:
    """Predict all of an image that is not done yet, and write it.

    No more is in memory than the pixels of a few tiles, with their halo.

    Parameters
    ----------
    sink
        Where the answers go. If it is `Resumable`, only what is missing is predicted.
    answers
        What is asked.
    read, space
        The image as the network sees it, see `napari_msd.images.sources.in_mode`.
    callback
        Called with the fraction done (0..1) after each tile.

    Raises
    ------
    ImageError, ExportError, OutOfMemoryError
        Of the reader, the sink and the network.
    """
    all_tiles = tiles_of(space)
    tiles = sink.missing(all_tiles) if isinstance(sink, Resumable) else all_tiles
    done = len(all_tiles) - len(tiles)
    for tile, pixels in with_pixels(tiles, answers.predictor.reads, read, space):
        sink.write(tile, answers.of(pixels, tile))
        done += 1
        if callback is not None:
            callback(done / len(all_tiles))


def tiles_of(space: Space) -> list[Box]:
    """All tiles of an image, each within one slab, in the order in which they are read."""
    sides = (1,) * len(space.leading) + TILE[space.convolved]
    return list(space.whole(0).tiles(sides))


def with_pixels(
    tiles: Sequence[Box],
    reads: Callable[[SlabPixels, Box], Box],
    read: Reader,
    space: Space,
) -> Iterator[tuple[Box, SlabPixels]]:
    """Each tile with the pixels that predicting it needs; those of the next are being read.

    Parameters
    ----------
    tiles
        As `tiles_of` gives them, or some of them.
    reads
        The part of a slab, along its axes, that a tile needs.
    read, space
        The image.

    Raises
    ------
    Exception
        Whatever the reader raises.
    """
    slabs: dict[Slab, SlabPixels] = {}  # that of this tile, and that of the next

    def missing(tile: Box) -> list[Box]:
        """What has to be read for a tile."""
        slab = Slab.of(tile, space.convolved)
        if slab not in slabs:
            slabs[slab] = SlabPixels(space.network_input.values, space.spatial)
        pixels = slabs[slab]
        blocks = dict.fromkeys((*pixels.missing(), *pixels.missing(reads(pixels, tile))))
        return [slab.box(block.start, block.stop) for block in blocks]

    row = -(-space.shape[-1] // TILE[space.convolved][-1]) + 1
    thread = ThreadPoolExecutor(1, "read ahead")
    try:
        ahead: dict[Box, Future[Pixels]] = {}
        for number, tile in enumerate(tiles):
            slab = Slab.of(tile, space.convolved)
            for box in missing(tile):
                found = ahead[box].result() if box in ahead else read(box)
                slabs[slab].put(box, _plane(found, box, space.convolved))
            ahead = {
                box: thread.submit(read, box)
                for following in tiles[number + 1 : number + 2]
                for box in missing(following)
            }
            yield tile, slabs[slab]
            # what the rest of this row of tiles reads is read by the next row, too
            near = tiles[number + 1 : number + 1 + row]
            slabs = {key: slabs[key] for key in slabs if any(_in(key, t, space) for t in near)}
            for key, pixels in slabs.items():
                pixels.keep([reads(pixels, t) for t in near if _in(key, t, space)])
    finally:
        thread.shutdown(wait=True, cancel_futures=True)


def _in(slab: Slab, tile: Box, space: Space) -> bool:
    return Slab.of(tile, space.convolved) == slab


def _plane(pixels: Pixels, box: Box, convolved: int) -> Plane:
    """Pixels of a box of one slab, channels first."""
    inside = pixels.reshape(*box.shape[-convolved:], *pixels.shape[box.ndim :])
    return channels_first(inside, convolved)
