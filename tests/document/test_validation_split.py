"""What is held out is never trained on, whatever happens to the strokes."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document import Annotation, ValidationSplit
from napari_msd.document.pieces import BLOCK

SHAPE = (8 * BLOCK, 8 * BLOCK)


def split_of(fraction: float = 0.2, seed: int = 0) -> tuple[Annotation, ValidationSplit]:
    store = Annotation()
    return store, ValidationSplit(store, fraction, seed)


def paint(store: Annotation, box: Box, value: int) -> None:
    store.write(box, np.full(box.shape, value, np.uint8))


def pixels(pieces) -> set[tuple]:
    return {(piece.slab, int(y), int(x)) for piece in pieces for y, x in piece.pixels}


def labelled(labels, value) -> set[tuple]:
    return {(Slab(0, ()), int(y), int(x)) for y, x in np.argwhere(labels == value)}


def held_out_block(split: ValidationSplit, value: int, *, held: bool = True) -> Box:
    row, column = next(
        (row, column)
        for row in range(8)
        for column in range(8)
        if split.holds_out((row, column), value) is held
    )
    top, left = row * BLOCK, column * BLOCK
    return Box(0, (top, left), (top + BLOCK, left + BLOCK))


def test_batches_show_exactly_what_may_be_trained_on():
    store, split = split_of()
    paint(store, Box(0, (0, 0), (90, SHAPE[1])), 1)
    paint(store, Box(0, (90, 0), SHAPE), 2)
    labels = split.training_labels(Box.whole(0, SHAPE))
    for value in (1, 2):
        assert labelled(labels, value) == pixels(split.training(value))
        assert split.measured(value)


def test_a_part_of_a_plane_reads_like_the_whole_of_it():
    store, split = split_of(0.5)
    paint(store, Box.whole(0, SHAPE), 3)
    part = Box(0, (5, 7), (77, 101))
    np.testing.assert_array_equal(
        split.training_labels(part), split.training_labels(Box.whole(0, SHAPE))[part.slices]
    )


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.35, 0.5])
def test_the_share_held_out_is_the_one_asked_for(fraction):
    _, split = split_of(fraction)
    for value in range(1, 6):
        held = [split.holds_out((row, column), value) for row in range(40) for column in range(40)]
        assert np.mean(held) == pytest.approx(fraction, abs=0.01)


def test_the_order_of_strokes_and_what_came_before_do_not_matter():
    strokes = [(Box(0, (8 * i, 5 * i), (8 * i + 6, 5 * i + 60)), 1 + i % 2) for i in range(12)]
    store, split = split_of()
    for region, value in strokes:
        paint(store, region, value)
    again, split_again = split_of()
    for box, values in reversed(list(store.chunks())):  # as after a restart
        again.write(box, values)
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
        paint(store, Box(0, (top, left), (top + side, left + side)), value)
        if turn % 10 == 0:
            chunks = list(store.chunks())
            store, split = split_of(0.5)
            for box, values in chunks:
                store.write(box, values)
        labels = split.training_labels(Box.whole(0, SHAPE))
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
            paint(store, Box(0, (top, 20), (top + 6, 26)), 1)
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
    assert not split.training_labels(block).any()


def test_a_speck_that_may_not_be_trained_on_is_no_class_yet():
    store, split = split_of()
    block = held_out_block(split, 1)
    paint(store, Box(0, block.start, tuple(i + 1 for i in block.start)), 1)
    assert store.classes == [1]
    assert split.classes == []
    assert not split.training_labels(block).any()


def test_a_neighbouring_plane_does_not_give_the_answer_away():
    store, split = split_of()
    slabs = [Slab(0, (0,)), Slab(0, (1,)), Slab(3, (0,))]
    for slab in slabs:
        paint(store, slab.box((0, 0), SHAPE), 1)
    measured = pixels(split.measured(1))
    first, *others = ({pixel[1:] for pixel in measured if pixel[0] == slab} for slab in slabs)
    assert first
    assert all(other == first for other in others)


def test_the_split_stays_what_it_is():
    """Models and sessions of earlier versions were measured on these blocks of class 1."""
    _, split = split_of()
    held = [at for at in np.ndindex(8, 8) if split.holds_out(at, 1)]
    assert held == [
        *((0, 5), (1, 2), (2, 4), (2, 6), (3, 1), (3, 3), (4, 5), (5, 2), (6, 4), (6, 6)),
        (7, 1),
    ]


def test_volumes_are_split_in_blocks_of_all_three_axes():
    annotation = Annotation(convolved=3)
    split = ValidationSplit(annotation, 0.2, 0)
    box = Box(0, (2, 0, 0, 0), (3, 64, 64, 64))
    paint(annotation, box, 1)
    labels = split.training_labels(box)
    assert labels.shape == box.shape
    assert np.mean(labels) == pytest.approx(0.8, abs=0.05)
    trained = {tuple(map(int, at)) for piece in split.training(1) for at in piece.pixels}
    assert trained == {tuple(map(int, at)) for at in np.argwhere(labels[0])}
    measured = {tuple(map(int, at)) for piece in split.measured(1) for at in piece.pixels}
    assert measured
    assert not measured & trained
    part = Box(0, (2, 5, 7, 9), (3, 40, 60, 33))
    np.testing.assert_array_equal(split.training_labels(part), labels[part.within(box).slices])


def test_a_short_stroke_is_not_swallowed():
    """Neighbours in a row or column are never both held out at the usual share."""
    _, split = split_of()
    for value in range(1, 20):
        for row in range(20):
            for column in range(20):
                if split.holds_out((row, column), value):
                    assert not split.holds_out((row + 1, column), value)
                    assert not split.holds_out((row, column + 1), value)


def test_nothing_is_held_out_if_that_is_wished():
    store, split = split_of(0.0)
    paint(store, Box.whole(0, SHAPE), 1)
    assert not split.measured(1)
    assert split.unmeasured == {}
    assert split.training_labels(Box.whole(0, SHAPE)).all()


def test_the_seed_decides():
    def held(seed: int) -> list[bool]:
        _, split = split_of(seed=seed)
        return [split.holds_out((row, column), 1) for row in range(9) for column in range(9)]

    assert held(3) == held(3)
    assert held(3) != held(4)
