"""Volumes: learned, predicted tile by tile, saved and opened again."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab, Space
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import slab_pixels, tiles_of
from napari_msd.training import Trainer

SHAPE = (24, 48, 60)
GIVEN = NetworkInput(1, 0, 3, 2.0)
SPACE = Space("ZYX", SHAPE, convolved=3, pixel_size=(2.0, 1.0, 1.0), units=("µm",) * 3)
WHOLE = Box.whole(0, SHAPE)
SLAB = Slab(0, ())
SETTINGS = Settings.from_preset(
    "quick", mode="3d", depth=3, trees=False, pretrained=False, learning_rate=0.02, device="cpu"
)


def truth() -> np.ndarray:
    """Balls of class 2 in class 1."""
    z, y, x = np.indices(SHAPE)
    balls = ((z % 12 - 6) * 2) ** 2 + (y % 24 - 12) ** 2 + (x % 20 - 10) ** 2 < 60
    return np.where(balls, 2, 1).astype(np.uint8)


def image() -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, SHAPE)
    return (truth() * 100.0 + noise).astype(np.float32)


def paint(trainer: Trainer) -> None:
    """All of a few slices, in every third row."""
    for z in (2, 6, 12, 18):
        box = WHOLE.along(0, z, z + 1)
        strokes = truth()[box.slices]
        strokes[:, np.arange(SHAPE[1]) % 3 > 0] = 0
        trainer.paint(box, strokes)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """Learned for a while; not to be changed."""
    trainer = Trainer(SETTINGS, GIVEN)
    trainer.add_source(0, SPACE)
    paint(trainer)
    assert trainer.missing() == [WHOLE]
    trainer.set_pixels(WHOLE, image())
    for _ in range(60):
        trainer.step()
    trainer.measure()
    return trainer


def test_the_space_tells_what_the_network_is_given():
    assert SPACE.network_input == GIVEN


def test_a_volume_is_learned(trainer):
    labels = trainer.predictor().labels(trainer.slabs[SLAB], WHOLE)
    assert labels.shape == SHAPE
    for value in (1, 2):
        assert (labels[truth() == value] == value).mean() > 0.9
    assert trainer.kept_scores.mean > 0.7
    assert set(trainer.kept_scores.iou) == {1, 2}


def test_the_network_reaches_less_far_across_slices_that_lie_apart(trainer):
    assert trainer.record().dilations_z == (1, 1, 2)  # of 1, 2, 3 pixels
    z, y, x = trainer.kept.network.receptive_radii
    assert z < y == x


def test_patches_hold_fewer_slices_than_rows_where_slices_lie_apart(trainer):
    assert trainer.data.sampler.patch_shape() == (16, 32, 32)
    batch = trainer.data.draw(4)
    assert batch.images.shape == (4, 1, 16, 32, 32)
    assert batch.labels.shape == (4, 16, 32, 32)
    assert {int(v) for v in np.unique(batch.labels)} == {-1, 0, 1}


def test_tiles_equal_the_whole(trainer):
    predictor, slab = trainer.predictor(), trainer.slabs[SLAB]
    at_once = predictor.probabilities(slab, WHOLE)
    plane = WHOLE.along(0, 7, 8)
    across = WHOLE.along(1, 20, 21)
    for tile in (*tiles_of(WHOLE, (9, 20, 25)), plane, across):
        found = predictor.probabilities(slab, tile)
        expected = at_once[(slice(None), *tile.slices)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_opened_again_it_answers_the_same_and_goes_on(trainer):
    record = ModelRecord.from_bytes(trainer.record().to_bytes())
    assert record.ndim == 3
    assert record.network_input == GIVEN
    again = Trainer(SETTINGS, record.network_input, record)
    again.add_source(0, SPACE)
    paint(again)
    again.set_pixels(WHOLE, image())
    assert again.network_id == trainer.network_id
    np.testing.assert_array_equal(
        again.predictor().probabilities(again.slabs[SLAB], WHOLE),
        trainer.predictor().probabilities(trainer.slabs[SLAB], WHOLE),
    )
    again.step()
    assert again.steps == trainer.kept_steps + 1
    assert again.kept_scores.mean >= trainer.kept_scores.mean - 0.02
    assert again.score_of(record) == pytest.approx(trainer.kept_scores.mean)


def test_a_model_keeps_the_distances_it_was_made_for(trainer):
    """Filters that have learned slices two pixels apart are not applied to others."""
    again = Trainer(SETTINGS, GIVEN._replace(anisotropy=5.0), trainer.record())
    assert again.data.given == GIVEN
    assert again.record().anisotropy == 2.0


@pytest.mark.parametrize(
    ("given", "mode"), [(NetworkInput(), "2-D"), (NetworkInput(1, 1), "2.5-D")]
)
def test_a_volumes_model_is_refused_for_slices_and_the_reverse(trainer, given, mode):
    with pytest.raises(ModelFileError, match=f"trained in 3-D, not in {mode}; choose 3-D"):
        Trainer(SETTINGS, given, trainer.record())
    settings = Settings.from_preset(depth=3, trees=False, device="cpu")
    slices = Trainer(settings, NetworkInput())
    slices.set_pixels(Box.whole(0, SHAPE[1:]), image()[6])
    slices.paint(Box.whole(0, SHAPE[1:]), truth()[6])
    slices.step()
    slices.measure()
    with pytest.raises(ModelFileError, match="trained in 2-D, not in 3-D; choose 2-D"):
        Trainer(SETTINGS, GIVEN, slices.record())
    with pytest.raises(ModelFileError, match="trained in 2-D, not in 3-D"):
        trainer.score_of(slices.record())


def test_held_out_strokes_of_a_deep_volume_are_measured_in_what_was_asked_for(monkeypatch):
    """Slices lie far apart: few of them are asked for, and no more are looked at."""
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 1000)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {3: (4, 40, 40)})
    shape = (400, 40, 40)
    settings = Settings.from_dict(
        SETTINGS.to_dict() | {"patch_size": 64, "held_out_fraction": 0.5, "share_damping": 0.0}
    )
    trainer = Trainer(settings, GIVEN._replace(anisotropy=16.0))
    trainer.add_source(0, Space("ZYX", shape, convolved=3))
    for value, column in ((1, 2), (2, 30)):
        box = Box(0, (14, 0, column), (15, 40, column + 8))
        trainer.paint(box, np.full(box.shape, value, np.uint8))
    asked = trainer.missing()
    assert len(asked) < 60  # of 100 blocks of slices
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for box in asked:
        trainer.set_pixels(box, noise[box.slices])
    assert not trainer.missing()
    trainer.step()
    assert trainer.measure().iou.keys() == {1, 2}
