"""What is held out is never trained on, whatever happens to the strokes."""

import numpy as np
import pytest

from napari_msd.core.planes import Region, whole
from napari_msd.document import StrokeStore, ValidationSplit
from napari_msd.document.annotation import BLOCK

SHAPE = (8 * BLOCK, 8 * BLOCK)


def split_of(fraction: float = 0.2, seed: int = 0) -> tuple[StrokeStore, ValidationSplit]:
    store = StrokeStore()
    return store, ValidationSplit(store, fraction, seed)


def paint(store: StrokeStore, region: Region, value: int, plane=()) -> None:
    store.write(plane, region, np.full(region.shape, value, np.uint8))


def pixels(pieces) -> set[tuple]:
    return {(piece.plane, int(y), int(x)) for piece in pieces for y, x in piece.pixels}


def labelled(labels, value, plane=()) -> set[tuple]:
    return {(plane, int(y), int(x)) for y, x in np.argwhere(labels == value)}


def held_out_block(split: ValidationSplit, value: int, *, held: bool = True) -> Region:
    row, column = next(
        (row, column)
        for row in range(8)
        for column in range(8)
        if split.holds_out(row, column, value) is held
    )
    top, left = row * BLOCK, column * BLOCK
    return Region(top, left, top + BLOCK, left + BLOCK)


def test_batches_show_exactly_what_may_be_trained_on():
    store, split = split_of()
    paint(store, Region(0, 0, 90, SHAPE[1]), 1)
    paint(store, Region(90, 0, *SHAPE), 2)
    labels = split.training_labels((), whole(SHAPE))
    for value in (1, 2):
        assert labelled(labels, value) == pixels(split.training(value))
        assert split.measured(value)


def test_a_part_of_a_plane_reads_like_the_whole_of_it():
    store, split = split_of(0.5)
    paint(store, whole(SHAPE), 3)
    part = Region(5, 7, 77, 101)
    np.testing.assert_array_equal(
        split.training_labels((), part), split.training_labels((), whole(SHAPE))[part.slices]
    )


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.35, 0.5])
def test_the_share_held_out_is_the_one_asked_for(fraction):
    _, split = split_of(fraction)
    for value in range(1, 6):
        held = [split.holds_out(row, column, value) for row in range(40) for column in range(40)]
        assert np.mean(held) == pytest.approx(fraction, abs=0.01)


def test_the_order_of_strokes_and_what_came_before_do_not_matter():
    strokes = [(Region(8 * i, 5 * i, 8 * i + 6, 5 * i + 60), 1 + i % 2) for i in range(12)]
    store, split = split_of()
    for region, value in strokes:
        paint(store, region, value)
    again, split_again = split_of()
    for plane, region, values in reversed(list(store.blocks())):  # as after a restart
        again.write(plane, region, values)
    for value in (1, 2):
        assert pixels(split.measured(value)) == pixels(split_again.measured(value))
        assert pixels(split.training(value)) == pixels(split_again.training(value))


def test_what_was_trained_on_is_never_measured_in_any_history_of_strokes():
    """Single dabs, erasures and sessions opened again, in any order: the two never meet."""
    random = np.random.default_rng(5)
    store, split = split_of(0.5)
    trained, measured = set(), set()
    for turn in range(150):
        top, left = (int(n) for n in random.integers(0, 8 * BLOCK - 12, 2))
        side = int(random.integers(3, 12))
        value = int(random.choice([0, 1, 2, 3]))
        paint(store, Region(top, left, top + side, left + side), value)
        if turn % 10 == 0:
            blocks = list(store.blocks())
            store, split = split_of(0.5)
            for plane, region, values in blocks:
                store.write(plane, region, values)
        labels = split.training_labels((), whole(SHAPE))
        for value in (1, 2, 3):
            seen = labelled(labels, value)
            assert seen == pixels(split.training(value))
            trained |= {(value, *pixel) for pixel in seen}
            measured |= {(value, *pixel) for pixel in pixels(split.measured(value))}
    assert measured
    assert not trained & measured


def test_a_class_of_one_dab_is_learned_wherever_it_lies():
    for fraction in (0.2, 0.5):
        for top in range(0, 40, 3):
            store, split = split_of(fraction)
            paint(store, Region(top, 20, top + 6, 26), 1)
            assert split.training(1)
            assert split.classes == [1]


def test_spare_cells_are_given_back_when_the_class_has_other_pixels():
    store, split = split_of()
    block = held_out_block(split, 1)
    paint(store, block, 1)
    spare = pixels(split.training(1))
    assert spare
    paint(store, held_out_block(split, 1, held=False), 1)
    assert not spare & pixels(split.training(1))
    assert not split.training_labels((), block).any()


def test_a_speck_that_may_not_be_trained_on_is_no_class_yet():
    store, split = split_of()
    block = held_out_block(split, 1)
    paint(store, Region(block.top, block.left, block.top + 1, block.left + 1), 1)
    assert store.classes == [1]
    assert split.classes == []
    assert not split.training_labels((), block).any()


def test_a_neighbouring_plane_does_not_give_the_answer_away():
    store, split = split_of()
    for plane in ((0,), (1,)):
        paint(store, whole(SHAPE), 1, plane)
    on_first = {pixel[1:] for pixel in pixels(split.measured(1)) if pixel[0] == (0,)}
    on_second = {pixel[1:] for pixel in pixels(split.measured(1)) if pixel[0] == (1,)}
    assert on_first == on_second


def test_a_short_stroke_is_not_swallowed():
    """Neighbours in a row or column are never both held out at the usual share."""
    _, split = split_of()
    for value in range(1, 20):
        for row in range(20):
            for column in range(20):
                if split.holds_out(row, column, value):
                    assert not split.holds_out(row + 1, column, value)
                    assert not split.holds_out(row, column + 1, value)


def test_nothing_is_held_out_if_that_is_wished():
    store, split = split_of(0.0)
    paint(store, whole(SHAPE), 1)
    assert not split.measured(1)
    assert split.unmeasured == {}
    assert split.training_labels((), whole(SHAPE)).all()


def test_the_seed_decides():
    def held(seed: int) -> list[bool]:
        _, split = split_of(seed=seed)
        return [split.holds_out(row, column, 1) for row in range(9) for column in range(9)]

    assert held(3) == held(3)
    assert held(3) != held(4)
