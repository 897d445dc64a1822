"""What is held out is never trained on."""

import numpy as np

from napari_msd.annotation import HeldOut, StrokeStore
from napari_msd.annotation.strokes import BLOCK
from napari_msd.planes import Region, whole

SHAPE = (8 * BLOCK, 8 * BLOCK)


def paint(store: StrokeStore, held: HeldOut, region: Region, value: int) -> None:
    held.update(store, store.write((), region, np.full(region.shape, value, np.uint8)))


def pixels(pieces) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for piece in pieces for y, x in piece.pixels}


def test_a_share_is_held_out_and_never_seen_in_training():
    store, held = StrokeStore(), HeldOut(0.25, seed=1)
    paint(store, held, Region(10, 0, 14, SHAPE[1]), 1)  # a stroke of 8 pieces
    measured = pixels(held.measured(store, 1))
    trained = pixels(held.training(store, 1))
    assert len(held.measured(store, 1)) == 2
    assert not measured & trained
    assert measured | trained == pixels(store.pieces(1).values())
    labels = held.training_labels(store, (), whole(SHAPE))
    assert pixels_of(labels, 1) == trained


def pixels_of(labels, value) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for y, x in np.argwhere(labels == value)}


def test_roles_stay_when_strokes_are_added():
    store, held = StrokeStore(), HeldOut(0.25, seed=1)
    paint(store, held, Region(10, 0, 14, SHAPE[1]), 1)
    trained = pixels(held.training(store, 1))
    measured = pixels(held.measured(store, 1))
    for top in range(40, 240, 30):
        paint(store, held, Region(top, 0, top + 4, SHAPE[1]), 1)
        assert trained <= pixels(held.training(store, 1))
        assert measured <= pixels(held.measured(store, 1))


def test_every_class_keeps_something_to_train_on():
    store, held = StrokeStore(), HeldOut(0.5, seed=0)
    paint(store, held, Region(0, 0, 4, SHAPE[1]), 1)
    for piece in held.training(store, 1):  # erase all that is trained on
        rows, columns = piece.pixels.min(0), piece.pixels.max(0) + 1
        paint(store, held, Region(*rows, *columns), 0)
    assert held.training(store, 1)


def test_few_pieces_are_not_split():
    store, held = StrokeStore(), HeldOut(0.5, seed=0)
    paint(store, held, Region(0, 0, 4, 3 * BLOCK), 1)
    assert not held.measured(store, 1)


def test_the_seed_decides():
    def split(seed: int) -> set[tuple[int, int]]:
        store, held = StrokeStore(), HeldOut(0.25, seed)
        paint(store, held, Region(0, 0, BLOCK * 8, BLOCK * 8), 1)
        return pixels(held.measured(store, 1))

    assert split(3) == split(3)
    assert split(3) != split(4)
