import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document import Annotation, AnnotationSnapshot
from napari_msd.document.annotation import CHUNK

SHAPE = (300, 200)
WHOLE = Box.whole(0, SHAPE)


def painted(*rectangles):
    """A plane with rectangles (value, rows, columns) painted on it."""
    plane = np.zeros(SHAPE, np.int32)
    for value, rows, columns in rectangles:
        plane[rows, columns] = value
    return plane


def test_nothing_painted_is_no_difference():
    assert AnnotationSnapshot(SHAPE).compare(WHOLE, painted()) is None


def test_difference_is_the_smallest_rectangle_of_the_change():
    plane = painted((3, slice(10, 14), slice(20, 29)))
    block = AnnotationSnapshot(SHAPE).compare(WHOLE, plane)
    assert block.box == Box(0, (10, 20), (14, 29))
    assert block.values.dtype == np.uint8
    assert (block.values == 3).all()


def test_the_same_values_twice_are_one_difference():
    snapshot = AnnotationSnapshot(SHAPE)
    plane = painted((1, slice(0, 5), slice(0, 5)))
    assert snapshot.compare(WHOLE, plane) is not None
    assert snapshot.compare(WHOLE, plane) is None


def test_erasing_is_a_difference_too_and_counts_go_down():
    snapshot = AnnotationSnapshot(SHAPE)
    plane = painted((1, slice(0, 5), slice(0, 5)), (2, slice(100, 104), slice(120, 140)))
    snapshot.compare(WHOLE, plane)
    assert snapshot.annotation.counts == {1: 25, 2: 80}
    plane[0:5, 0:5] = 0
    block = snapshot.compare(WHOLE, plane)
    assert block.box == Box(0, (0, 0), (5, 5))
    assert not block.values.any()
    assert snapshot.annotation.counts == {2: 80}


def test_a_stroke_over_block_borders_is_remembered_whole():
    snapshot = AnnotationSnapshot(SHAPE)
    rows, columns = slice(CHUNK[2] - 3, CHUNK[2] + 3), slice(CHUNK[2] - 9, CHUNK[2] + 9)
    plane = painted((7, rows, columns))
    snapshot.compare(WHOLE, plane)
    np.testing.assert_array_equal(snapshot.annotation.read(WHOLE), plane)
    rebuilt = np.zeros(SHAPE, np.uint8)
    for block in snapshot.painted():
        rebuilt[block.box.slices] = block.values
    np.testing.assert_array_equal(rebuilt, plane)


def test_small_region_compares_only_itself():
    snapshot = AnnotationSnapshot(SHAPE)
    plane = painted((1, slice(0, 5), slice(0, 5)), (2, slice(50, 55), slice(60, 65)))
    region = Box(0, (48, 58), (60, 70))
    block = snapshot.compare(region, plane[region.slices])
    assert block.box == Box(0, (50, 60), (55, 65))
    assert snapshot.annotation.counts == {2: 25}


def test_regions_reaching_outside_are_clipped():
    snapshot = AnnotationSnapshot(SHAPE)
    values = np.full((20, 20), 4, np.uint8)
    block = snapshot.compare(Box(0, (-10, -10), (10, 10)), values)
    assert block.box == Box(0, (0, 0), (10, 10))
    assert snapshot.compare(Box(0, (400, 400), (420, 420)), values) is None


def test_slabs_are_apart():
    snapshot = AnnotationSnapshot((9, *SHAPE))
    plane = painted((1, slice(0, 5), slice(0, 5)))
    snapshot.compare(Box(0, (3, 0, 0), (4, *SHAPE)), plane[None])
    assert snapshot.compare(Box(0, (4, 0, 0), (5, *SHAPE)), painted()[None]) is None
    assert snapshot.annotation.slabs == {Slab(0, (3,))}
    assert {(block.box.start[0], block.box.stop[0]) for block in snapshot.painted()} == {(3, 4)}


@pytest.mark.parametrize("value", [-1, 256, 70000])
def test_values_that_cannot_be_classes_are_not_painted_and_said(value):
    snapshot = AnnotationSnapshot(SHAPE)
    assert snapshot.compare(WHOLE, painted((value, slice(0, 5), slice(0, 5)))) is None
    assert snapshot.unusable
    assert snapshot.annotation.counts == {}


def test_differences_do_not_alias_the_layer():
    snapshot = AnnotationSnapshot(SHAPE)
    plane = painted((1, slice(0, 5), slice(0, 5))).astype(np.uint8)
    block = snapshot.compare(WHOLE, plane)
    plane[:] = 9
    assert (block.values == 1).all()
    assert snapshot.annotation.counts == {1: 25}


def test_where_finds_every_pixel_of_a_class():
    snapshot = AnnotationSnapshot(SHAPE)
    plane = painted((5, slice(120, 140), slice(120, 140)), (6, slice(0, 3), slice(0, 3)))
    snapshot.compare(WHOLE, plane)
    found = np.zeros(SHAPE, np.int32)
    for slab, pixels in snapshot.annotation.where(5):
        assert slab == Slab(0, ())
        found[tuple(pixels.T)] = 5
    np.testing.assert_array_equal(found, np.where(plane == 5, 5, 0))


def test_random_painting_ends_in_equality():
    rng = np.random.default_rng(0)
    snapshot, plane = AnnotationSnapshot(SHAPE), painted()
    mirror = np.zeros(SHAPE, np.uint8)
    for _ in range(200):
        start = rng.integers(0, SHAPE)
        region = Box(0, tuple(start), tuple(start + rng.integers(1, 90, 2))).clip(SHAPE)
        plane[region.slices] = rng.integers(0, 4)
        block = snapshot.compare(region, plane[region.slices])
        if block is not None:
            mirror[block.box.slices] = block.values
    np.testing.assert_array_equal(mirror, plane)
    expected = {v: int((plane == v).sum()) for v in (1, 2, 3)}
    assert snapshot.annotation.counts == {v: n for v, n in expected.items() if n}


def test_in_n_dimensions_the_difference_is_the_smallest_box():
    shape = (4, 30, 200)
    snapshot, layer = AnnotationSnapshot(shape), np.zeros(shape, np.int64)
    layer[1:3, 5:9, 100:150] = 2
    whole = Box.whole(7, shape)
    found = snapshot.compare(whole, layer)
    assert found.box == Box(7, (1, 5, 100), (3, 9, 150))
    assert (found.values == 2).all()
    assert snapshot.compare(whole, layer) is None
    assert snapshot.compare(Box(7, (-3, 0, 0), (0, 9, 9)), np.ones((3, 9, 9))) is None


def test_what_is_painted_brings_another_annotation_to_the_same():
    shape = (2, 100, 90)
    snapshot, copy = AnnotationSnapshot(shape), Annotation()
    layer = np.random.default_rng(0).integers(0, 3, shape)
    snapshot.compare(Box.whole(0, shape), layer)
    for painted in snapshot.painted():
        assert painted.box == painted.box.clip(shape)
        copy.write(painted.box, painted.values)
    assert copy == snapshot.annotation
