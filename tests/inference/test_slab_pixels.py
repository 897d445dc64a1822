"""Slabs in blocks: what is asked for, and that it reads as the whole does."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.inference.normalisation import EachPlane, Normalisation
from napari_msd.inference.slab_pixels import ONE_BLOCK, SlabPixels

WHOLE = np.arange(2 * 50 * 70, dtype=np.uint16).reshape(2, 50, 70)


def fill(pixels: SlabPixels, whole: np.ndarray, boxes: list[Box]) -> None:
    for box in boxes:
        pixels.put(box, whole[(slice(None), *box.slices)])


def in_blocks() -> SlabPixels:
    return SlabPixels(2, (50, 70), (16, 32))


def test_a_small_slab_is_one_block_and_a_large_one_is_not() -> None:
    assert SlabPixels(1, (4096, 4096)).in_one_block
    assert not SlabPixels(1, (4096, 4097)).in_one_block
    assert not SlabPixels(1, (257, 256, 256)).in_one_block
    assert ONE_BLOCK == 4096**2


def test_only_the_blocks_of_a_box_are_asked_for() -> None:
    pixels, box = in_blocks(), Box(3, (7, 10, 20), (8, 20, 40))
    assert pixels.missing(box) == [
        Box(0, (0, 0), (16, 32)),
        Box(0, (0, 32), (16, 64)),
        Box(0, (16, 0), (32, 32)),
        Box(0, (16, 32), (32, 64)),
    ]
    fill(pixels, WHOLE, pixels.missing(box))
    assert not pixels.missing(box)
    np.testing.assert_array_equal(pixels.read(box), WHOLE[:, 10:20, 20:40])


def test_blocks_at_the_edge_are_smaller() -> None:
    pixels, corner = in_blocks(), Box(0, (49, 69), (60, 90))
    assert pixels.missing(corner) == [Box(0, (48, 64), (50, 70))]


def test_what_is_not_here_cannot_be_read() -> None:
    with pytest.raises(LookupError):
        in_blocks().read(Box(0, (0, 0), (1, 1)))


def test_only_whole_blocks_are_taken() -> None:
    with pytest.raises(ValueError, match="no block"):
        in_blocks().put(Box(0, (0, 0), (8, 8)), WHOLE[:, :8, :8])
    with pytest.raises(ValueError, match="no block"):
        in_blocks().put(Box(0, (0, 0), (16, 32)), WHOLE[:1, :16, :32])


def test_dropped_blocks_are_asked_for_again() -> None:
    pixels, everything = in_blocks(), Box(0, (0, 0), (50, 70))
    fill(pixels, WHOLE, pixels.missing(everything))
    kept = Box(0, (0, 0), (5, 5))
    pixels.keep([kept])
    assert not pixels.missing(kept)
    assert len(pixels.missing(everything)) == len(pixels.blocks_of(everything)) - 1
    assert not pixels.missing()  # what tells the grey values stays known


def test_the_grey_values_come_from_blocks_all_over_the_slab() -> None:
    pixels = in_blocks()
    sampled = pixels.missing()
    assert len(sampled) == 9
    assert sampled[0].start == (0, 0)
    assert sampled[-1].stop == (48, 70) or sampled[-1].stop == (50, 70)
    with pytest.raises(LookupError):
        pixels.sample()
    fill(pixels, WHOLE, sampled)
    assert pixels.sample().shape == (2, sum(box.size for box in sampled))
    assert EachPlane().for_slab(pixels) == Normalisation.robust(pixels.sample())


def test_one_block_is_its_own_sample() -> None:
    pixels = SlabPixels.whole(WHOLE)
    assert pixels.sample() is WHOLE
    assert pixels.has(Box(0, (0, 0), (50, 70)))
    np.testing.assert_array_equal(pixels.read(Box(0, (1, 2), (3, 9))), WHOLE[:, 1:3, 2:9])


def test_a_box_moves_into_the_nearest_block_that_tells_the_grey_values() -> None:
    pixels = SlabPixels(1, (90, 160), (10, 20))  # a grid of 9 x 8: samples at 1, 4, 7 and 1, 4, 6
    moved = pixels.near_sample(Box(2, (5, 33, 55), (6, 37, 60)))
    assert moved.shape == (1, 4, 5)
    assert moved.source == 2
    there = Box(0, moved.start[1:], moved.stop[1:])
    inside = [box for box in pixels.missing() if box.contains(there)]
    assert len(inside) == 1
    already = Box(0, (43, 85), (46, 90))
    assert pixels.near_sample(already) == already
    assert SlabPixels(1, (90, 160)).near_sample(Box(0, (3, 3), (9, 9))) == Box(0, (3, 3), (9, 9))
