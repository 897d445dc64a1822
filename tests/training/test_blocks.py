"""Slabs in blocks: learned as if they were here as a whole, and read only where needed."""

import gc
import weakref

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab, Space
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import (
    EachPlane,
    Normalisation,
    SlabPixels,
    features,
    slab_pixels,
    tiles_of,
)
from napari_msd.training import Trainer

SIDE = 640
BLOCK = 32
SPACE = Space("YX", (SIDE, SIDE))
WHOLE = SPACE.whole(0)
SLAB = Slab(0, ())
VIEW = Box(0, (70, 90), (130, 170))

ALONE = Settings.from_preset(
    depth=3, patch_size=16, learning_rate=0.02, device="cpu", trees=False, share_damping=0.0
)
WITH_TREES = Settings.from_preset(depth=3, patch_size=16, learning_rate=0.02, device="cpu")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 4 * BLOCK**2)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {2: (BLOCK, BLOCK), 3: (8, 16, 16)})


@pytest.fixture
def same_normalisation(monkeypatch):
    """Blocks tell a slab's grey values nearly as well as the whole, but not to the last bit."""
    known = Normalisation((150.0,), (60.0,))
    monkeypatch.setattr(EachPlane, "for_slab", lambda each, slab: known)


def image() -> np.ndarray:
    """Dark and bright stripes, 8 pixels wide, with noise."""
    rng = np.random.default_rng(0)
    grey = 100 + 100 * (np.arange(SIDE) // 8 % 2)[None, :] + rng.normal(0, 15, (SIDE, SIDE))
    return grey.astype(np.uint16)


def paint(trainer: Trainer) -> None:
    """Both classes, near each other in two places."""
    for top in (100, 500):
        for value, column in ((1, 97), (2, 137)):
            box = Box(0, (top, column), (top + 40, column + 6))
            trainer.paint(box, np.full(box.shape, value, np.uint8))


def give(trainer: Trainer, boxes: list[Box]) -> None:
    pixels = image()
    for box in boxes:
        trainer.set_pixels(box, pixels[box.slices])


def in_blocks(settings: Settings = ALONE, start: ModelRecord | None = None) -> Trainer:
    trainer = Trainer(settings, NetworkInput(), start)
    trainer.add_source(0, SPACE)
    paint(trainer)
    give(trainer, trainer.missing())
    return trainer


def as_a_whole(settings: Settings = ALONE) -> Trainer:
    trainer = Trainer(settings, NetworkInput())
    trainer.set_pixels(WHOLE, image())
    paint(trainer)
    return trainer


def give_for(trainer: Trainer, tile: Box) -> list[Box]:
    """Give what a tile needs; returns these blocks."""
    pixels = trainer.data.slab(SLAB)
    boxes = pixels.missing(trainer.predictor().reads(pixels, tile))
    give(trainer, boxes)
    return boxes


def learn(trainer: Trainer, steps: int = 12) -> Trainer:
    for _ in range(steps):
        trainer.step()
        assert not trainer.missing()
    trainer.measure()
    return trainer


@pytest.mark.usefixtures("same_normalisation")
@pytest.mark.parametrize("settings", [ALONE, WITH_TREES], ids=["alone", "with trees"])
def test_what_is_learned_and_predicted_is_that_of_the_whole_slab(settings, monkeypatch):
    # the bank adds in another order where tiles are of another size
    monkeypatch.setattr(features, "SMALL_TILE", features.TILE)
    # and what tells how common classes are lies elsewhere
    monkeypatch.setattr(SlabPixels, "near_sample", lambda self, box: box)
    whole, blocks = learn(as_a_whole(settings)), learn(in_blocks(settings))
    assert not blocks.slabs[SLAB].in_one_block
    assert blocks.network_id == whole.network_id
    assert blocks.kept_scores == whole.kept_scores
    for tile in tiles_of(VIEW, 50):
        give_for(blocks, tile)
        np.testing.assert_array_equal(
            blocks.predictor().probabilities(blocks.slabs[SLAB], tile),
            whole.predictor().probabilities(whole.slabs[SLAB], tile),
        )
    assert blocks.temperature == whole.temperature


def test_the_grey_values_of_a_large_slab_are_nearly_those_of_all_of_it():
    """That is what the blocks all over it are for."""
    each = EachPlane()
    found = each.for_slab(in_blocks().slabs[SLAB])
    expected = each.for_slab(as_a_whole().slabs[SLAB])
    assert found.mean == pytest.approx(expected.mean, abs=0.2 * expected.std[0])
    assert found.std == pytest.approx(expected.std, rel=0.1)


def test_only_blocks_near_strokes_and_some_all_over_the_slab_are_asked_for():
    trainer = Trainer(ALONE, NetworkInput())
    trainer.add_source(0, SPACE)
    assert trainer.missing() == []  # nothing is painted
    paint(trainer)
    asked = trainer.missing()
    assert len(asked) == len(set(asked))
    assert all(box.shape == (BLOCK, BLOCK) for box in asked)
    near = [box.grow((16, 16)) for box in trainer.annotation.chunk_boxes(SLAB)]
    apart = [box for box in asked if all(box.intersect(there).empty for there in near)]
    # nine tell the grey values, and patches in them how common classes are; some are near strokes
    assert 5 < len(apart) <= 9
    assert len(asked) < 0.2 * len(trainer.data.slab(SLAB).blocks_of(WHOLE))


def test_a_new_stroke_asks_for_the_blocks_around_it_only():
    trainer = in_blocks()
    assert not trainer.missing()
    dab = Box(0, (300, 300), (304, 304))
    trainer.paint(dab, np.full(dab.shape, 1, np.uint8))
    asked = trainer.missing()
    chunk = next(b for b in trainer.annotation.chunk_boxes(SLAB) if not b.intersect(dab).empty)
    assert any(not box.intersect(dab).empty for box in asked)
    assert all(not box.intersect(chunk.grow((16, 16))).empty for box in asked)
    give(trainer, asked)
    learn(trainer, 1)


def test_a_tile_asks_for_what_its_halo_reaches():
    trainer = learn(in_blocks(), 2)
    tile = Box(0, (320, 420), (330, 430))
    asked = give_for(trainer, tile)
    halo = tile.grow(trainer.kept.network.receptive_radii)
    assert asked
    assert all(not box.intersect(halo).empty for box in asked)
    assert trainer.predictor().labels(trainer.slabs[SLAB], tile).shape == (10, 10)


def test_what_neither_strokes_nor_the_given_boxes_need_is_dropped():
    trainer = learn(in_blocks(), 2)
    here, elsewhere = Box(0, (320, 420), (330, 430)), Box(0, (580, 580), (590, 590))
    give_for(trainer, here)
    give_for(trainer, elsewhere)
    trainer.keep_only([here])
    slab = trainer.slabs[SLAB]
    assert slab.has(here)
    assert not slab.has(elsewhere)
    assert not trainer.missing()
    learn(trainer, 3)
    trainer.keep_only([])
    assert not slab.has(here)
    learn(trainer, 3)


def test_slabs_without_strokes_are_dropped_as_a_whole():
    trainer = Trainer(ALONE, NetworkInput())
    space = Space("ZYX", (3, SIDE, SIDE))
    trainer.add_source(0, space)
    for z in range(2):
        first = Box(0, (z, 0, 0), (z + 1, BLOCK, BLOCK))
        trainer.set_pixels(first, image()[:BLOCK, :BLOCK])
    trainer.keep_only([Box(0, (1, 0, 0), (2, 5, 5))])
    assert set(trainer.slabs) == {Slab(0, (1,))}


def test_a_model_without_trees_gets_some_on_a_large_slab():
    """They read more than the network: it is asked for before the first step."""
    record = ModelRecord.from_bytes(learn(in_blocks(), 2).record().to_bytes())
    assert record.trees is None
    trainer = learn(in_blocks(WITH_TREES, record), 2)
    assert trainer.record().trees is not None


def test_smaller_patches_are_cut_from_blocks_that_are_here():
    """As after too little memory: the next attempt follows at once, without new pixels."""
    trainer = learn(in_blocks(), 2)
    trainer.keep_only([])
    before = trainer.data.everywhere()
    trainer.data.reach.side = 8
    assert not trainer.missing()
    after = trainer.data.everywhere()
    np.testing.assert_array_equal(after, before[:, :, 4:12, 4:12])
    learn(trainer, 3)


def test_a_trainer_of_large_slabs_that_nobody_holds_is_freed_at_once():
    trainer = in_blocks()
    gone = weakref.ref(trainer)
    gc.disable()
    try:
        del trainer
        assert gone() is None
    finally:
        gc.enable()


def test_a_large_slab_that_looks_constant_cannot_decide_how_all_are_normalised():
    settings = Settings.from_preset(patch_size=16, device="cpu", trees=False, normalise="first")
    trainer = Trainer(settings, NetworkInput())
    trainer.add_source(0, SPACE)
    *first, last = trainer.data.slab(SLAB).missing()
    black = np.zeros((BLOCK, BLOCK), np.uint8)
    for box in first:
        trainer.set_pixels(box, black)
    with pytest.raises(ImageError, match="same value"):
        trainer.set_pixels(last, black)
    assert trainer.normalisation is None
    assert last in trainer.data.slab(SLAB).missing()
    give(trainer, trainer.data.slab(SLAB).missing())  # another image in its place
    assert trainer.normalisation is not None


def test_only_blocks_of_the_right_channels_are_taken():
    trainer = Trainer(ALONE, NetworkInput())
    trainer.add_source(0, SPACE)
    corner = Box(0, (0, 0), (BLOCK, BLOCK))
    with pytest.raises(ImageError, match="one channel, this image has 3 channels"):
        trainer.set_pixels(corner, np.zeros((BLOCK, BLOCK, 3), np.uint8))
    with pytest.raises(ValueError, match="no block"):
        trainer.set_pixels(corner.shift((1, 0)), np.zeros((BLOCK, BLOCK), np.uint8))
    assert not trainer.slabs
