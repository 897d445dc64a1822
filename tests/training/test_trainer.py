"""The network learns from strokes, and from their changes, without a restart."""

import gc
import weakref

import numpy as np
import pytest
import torch

from napari_msd.core.box import Box
from napari_msd.core.errors import ModelFileError, StrokesError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab, Space
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import Normalisation, SlabPixels
from napari_msd.training import Trainer
from napari_msd.training.prior_correction import share_offsets
from napari_msd.training.scores import Scores

SHAPE = (96, 96)
EVERYTHING = Box.whole(0, SHAPE)
SLAB = Slab(0, ())
AS_IT_IS = Normalisation((0.0,), (1.0,))
SMALL = Settings.from_preset(depth=3, patch_size=32, learning_rate=0.02)
ALONE = Settings.from_preset(depth=3, patch_size=32, learning_rate=0.02, trees=False)
"""Without trees beside the network."""


def image() -> np.ndarray:
    """Dark, middle and bright thirds with noise, as uint16."""
    rng = np.random.default_rng(0)
    grey = np.repeat([100, 200, 300], 32)[None, :] + rng.normal(0, 15, SHAPE)
    return grey.astype(np.uint16)


def strokes(*classes: int) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    for value in classes:
        column = 32 * (value - 1) + 14
        labels[4:92, column : column + 4] = value
    return labels


def trainer_for(*classes: int, settings: Settings = SMALL) -> Trainer:
    trainer = Trainer(settings, NetworkInput())
    trainer.set_pixels(EVERYTHING, image())
    trainer.paint(EVERYTHING, strokes(*classes))
    return trainer


def learn(trainer: Trainer, steps: int) -> None:
    for _ in range(steps):
        trainer.step()
    trainer.measure()


def labels_of(trainer: Trainer) -> np.ndarray:
    return trainer.predictor().labels(trainer.slabs[SLAB], EVERYTHING)


def truth(*classes: int) -> np.ndarray:
    return np.broadcast_to(np.repeat(classes, 32)[None, :], SHAPE)


def test_learns_what_was_painted():
    trainer = trainer_for(1, 2, 3)
    learn(trainer, 150)
    assert (labels_of(trainer) == truth(1, 2, 3)).mean() > 0.95
    assert trainer.kept_scores.mean > 0.9
    assert set(trainer.kept_scores.iou) == {1, 2, 3}


def test_a_new_class_and_its_removal_need_no_restart():
    trainer = trainer_for(1, 3)
    learn(trainer, 60)
    assert set(np.unique(labels_of(trainer))) == {1, 3}
    steps = trainer.steps
    trainer.paint(EVERYTHING, strokes(1, 2, 3))
    learn(trainer, 100)
    assert trainer.steps == steps + 100
    assert (labels_of(trainer) == truth(1, 2, 3)).mean() > 0.9
    trainer.paint(EVERYTHING, strokes(1, 3))
    assert set(np.unique(labels_of(trainer))) == {1, 3}
    learn(trainer, 20)
    assert np.isfinite(trainer.loss)
    assert set(np.unique(labels_of(trainer))) == {1, 3}


def test_the_optimiser_remembers_the_old_weights_when_a_class_comes():
    trainer = trainer_for(1, 3)
    learn(trainer, 10)
    adam = trainer._learner._stepper.adam
    moments = adam.mean.split(adam.sizes)[:2]  # of the layers' weights and biases
    assert all(moment.any() for moment in moments)
    trainer.paint(EVERYTHING, strokes(1, 2, 3))
    trainer._with_room_for_classes()
    kept = trainer._learner._stepper.adam
    assert kept is not adam
    assert all(map(torch.equal, kept.mean.split(kept.sizes)[:2], moments))


@pytest.mark.parametrize("classes", [(), (2,)])
def test_fewer_than_two_classes_is_said(classes):
    trainer = trainer_for(*classes)
    assert "at least two classes" in trainer.needs()
    with pytest.raises(StrokesError, match="at least two classes"):
        trainer.step()


def test_the_seed_decides_everything():
    def weights(seed: int) -> bytes:
        trainer = trainer_for(
            1, 2, settings=Settings.from_preset(depth=3, patch_size=32, seed=seed)
        )
        learn(trainer, 12)
        record = trainer.record()
        return b"".join(w.tobytes() for w in record.weights.values())

    assert weights(5) == weights(5)
    assert weights(5) != weights(6)


def test_best_weights_are_kept_while_the_strokes_stay():
    trainer = trainer_for(1, 2, 3, settings=ALONE)
    learn(trainer, 100)
    best, steps = trainer.kept_scores.mean, trainer.kept_steps
    with torch.no_grad():  # ruin what is being trained
        for network in (trainer._learner.network, trainer._learner._average):
            for parameter in network.parameters():
                parameter.zero_()
    trainer.measure()
    assert trainer.scores.mean < best
    assert (trainer.kept_scores.mean, trainer.kept_steps) == (best, steps)
    assert (labels_of(trainer) == truth(1, 2, 3)).mean() > 0.9


def test_newer_weights_are_kept_unless_clearly_worse_than_the_best(monkeypatch):
    trainer = trainer_for(1, 2, 3, settings=ALONE)
    learn(trainer, 5)
    trainer.paint(Box(0, (0, 0), (1, 1)), np.ones((1, 1), np.uint8))  # a new question
    kept = []
    for score in (0.9, 0.89, 0.87, 0.885, 0.95, 0.92):
        scores = Scores({1: score})
        monkeypatch.setattr("napari_msd.training.newest.measure", lambda *_, s=scores: s)
        trainer.steps += 1
        trainer.measure()
        kept.append(trainer.kept_scores.mean)
    assert kept == [0.9, 0.89, 0.89, 0.885, 0.95, 0.95]


def test_a_model_gone_on_from_is_measured_first_and_kept_while_it_is_best():
    trainer = trainer_for(1, 2, 3)
    learn(trainer, 100)
    again = Trainer(SMALL, NetworkInput(), trainer.record())
    again.set_pixels(EVERYTHING, image())
    again.paint(EVERYTHING, strokes(1, 2, 3))
    again.step()
    assert again.kept_scores.mean == pytest.approx(trainer.kept_scores.mean)
    assert again.kept_steps == trainer.kept_steps
    assert again.kept_amount == again.data.split.amount


def test_the_temperature_takes_back_overconfidence():
    trainer = trainer_for(1, 2, 3, settings=ALONE)
    learn(trainer, 100)
    before = trainer.temperature
    plane, everything = trainer.slabs[SLAB], EVERYTHING
    labels, unsure = trainer.predictor().labels_and_uncertainty(plane, everything, before)
    assert np.array_equal(labels, labels_of(trainer))
    assert unsure[:, 28:36].mean() > unsure[:, 12:20].mean()
    with torch.no_grad():
        for parameter in list(trainer.kept.network.parameters())[-2:]:
            parameter *= 4
    trainer.kept.steps += 1  # other weights are shown
    assert trainer.temperature == pytest.approx(4 * before, rel=0.02)
    again = trainer.predictor().labels_and_uncertainty(plane, everything, trainer.temperature)[1]
    np.testing.assert_allclose(again.astype(int), unsure, atol=6)


def test_after_a_new_stroke_the_newest_weights_count():
    trainer = trainer_for(1, 2, 3)
    learn(trainer, 40)
    trainer.paint(Box(0, (0, 0), (3, 3)), np.ones((3, 3), np.uint8))
    learn(trainer, 7)
    assert trainer.kept_steps == trainer.steps


def test_held_out_strokes_reach_no_batch():
    trainer = trainer_for(1, 2, 3)
    measured = {
        (int(y), int(x))
        for value in (1, 2, 3)
        for piece in trainer.data.split.measured(value)
        for y, x in piece.pixels
    }
    assert measured
    marked = np.zeros((1, *SHAPE))
    for y, x in measured:
        marked[0, y, x] = 1
    trainer.slabs[SLAB] = SlabPixels.whole(marked)
    for _ in range(30):
        batch = trainer.data.sampler.draw(4, [1, 2, 3], AS_IT_IS)
        assert not batch.images[:, 0][batch.labels >= 0].any()


def test_weights_do_not_depend_on_held_out_strokes():
    """The strongest test of a leak: without them, training goes exactly the same way."""

    def weights(erased: bool) -> bytes:
        trainer = trainer_for(1, 2, 3)
        if erased:
            measured = [piece for v in (1, 2, 3) for piece in trainer.data.split.measured(v)]
            assert measured
            for y, x in (pixel for piece in measured for pixel in piece.pixels):
                pixel = Box(0, (int(y), int(x)), (int(y) + 1, int(x) + 1))
                trainer.paint(pixel, np.zeros((1, 1), np.uint8))
        for _ in range(12):
            trainer.step()
        state = trainer._learner.network.state_dict().values()
        return b"".join(w.numpy().tobytes() for w in state)

    assert weights(erased=True) == weights(erased=False)


def test_strokes_sent_again_to_a_trained_model_are_not_measured_where_it_was_trained():
    """Another device, an earlier checkpoint, a restart: all strokes come again, in one piece."""
    trainer = Trainer(SMALL, NetworkInput())
    trainer.set_pixels(EVERYTHING, image())
    painted = strokes(1, 2, 3)
    for top in range(0, 96, 7):  # stroke by stroke
        region = Box(0, (top, 0), (min(top + 7, 96), 96))
        trainer.paint(region, painted[region.slices])
    learn(trainer, 10)
    again = Trainer(SMALL, NetworkInput(), trainer.record())
    again.set_pixels(EVERYTHING, image())
    again.paint(EVERYTHING, painted)

    def pixels(pieces) -> set[tuple[int, int]]:
        return {(int(y), int(x)) for piece in pieces for y, x in piece.pixels}

    for value in (1, 2, 3):
        assert pixels(again.data.split.measured(value))
        assert not pixels(again.data.split.measured(value)) & pixels(
            trainer.data.split.training(value)
        )


@pytest.mark.parametrize("side", [8, 16, 32])
def test_small_patches_are_measured_on_the_right_pixels(side):
    trainer = trainer_for(1, 2, settings=Settings.from_preset(depth=3, patch_size=side))
    for value, seen, patch, pixels in trainer.data.question.patches():
        rows, columns = pixels.T
        assert seen is trainer.slabs[SLAB]
        assert (rows >= patch.start[0]).all()
        assert (rows < patch.stop[0]).all()
        assert (columns >= patch.start[1]).all()
        assert (columns < patch.stop[1]).all()
        assert (strokes(1, 2)[rows, columns] == value).all()
    trainer.step()
    assert trainer.measure().mean is not None


def test_a_speck_of_a_second_class_asks_for_a_little_more():
    trainer = Trainer(SMALL, NetworkInput())
    trainer.set_pixels(EVERYTHING, image())
    row, column = next(
        (row, column)
        for row in range(6)
        for column in range(6)
        if trainer.data.split.holds_out((row, column), 2)
    )
    painted = np.zeros(SHAPE, np.uint8)
    painted[16 * row, 16 * column] = 2
    painted[:, 90:] = 1
    trainer.paint(EVERYTHING, painted)
    assert "Paint a little more" in trainer.needs()


def test_patches_everywhere_are_the_same_every_time_and_leave_no_part_out():
    trainer = trainer_for(1, 2)
    trainer.slabs[SLAB] = SlabPixels.whole(np.arange(96 * 96).reshape(1, *SHAPE))
    patches = trainer.data.sampler.everywhere(24, AS_IT_IS)
    np.testing.assert_array_equal(patches, trainer.data.sampler.everywhere(24, AS_IT_IS))
    corners = patches[:, 0, 0, 0].astype(int)
    quarters = {(corner // 96 // 33, corner % 96 // 33) for corner in corners}
    assert quarters == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_patches_are_balanced_over_classes():
    trainer = trainer_for(1, 2, 3)
    trainer.paint(Box(0, (0, 0), (96, 40)), np.full((96, 40), 1, np.uint8))
    batch = trainer.data.sampler.draw(6, [1, 2, 3], AS_IT_IS)
    seen = [set(np.unique(labels)) - {-1} for labels in batch.labels]
    assert sum(1 in s for s in seen) >= 2
    assert sum(2 in s for s in seen) >= 2
    assert sum(1 in s or 2 in s for s in seen) >= 2


@pytest.mark.parametrize("shape", [(96, 20), (5, 96), (3, 2)])
def test_planes_smaller_than_a_patch(shape):
    trainer = Trainer(SMALL, NetworkInput())
    everything = Box.whole(0, shape)
    trainer.set_pixels(everything, np.random.default_rng(0).random(shape))
    labels = np.ones(shape, np.uint8)
    labels[0] = 2
    trainer.paint(everything, labels)
    learn(trainer, 3)
    assert trainer.predictor().labels(trainer.slabs[SLAB], everything).shape == shape


def test_a_record_continues_where_it_stopped():
    trainer = trainer_for(1, 2, 3)
    learn(trainer, 60)
    record = ModelRecord.from_bytes(trainer.record().to_bytes())
    second = Trainer(SMALL, NetworkInput(), record)
    second.set_pixels(EVERYTHING, image())
    assert second.learned
    assert np.array_equal(labels_of(second), labels_of(trainer))
    second.paint(EVERYTHING, strokes(1, 2, 3))
    learn(second, 10)
    assert second.steps == record.steps + 10


def test_class_shares_are_put_into_a_model_once_however_often_it_is_continued():
    trainer = trainer_for(1, 2, settings=ALONE)  # two thirds of the image are of class 2
    learn(trainer, 60)
    record = ModelRecord.from_bytes(trainer.record().to_bytes())
    second = Trainer(ALONE, NetworkInput(), record)
    second.set_pixels(EVERYTHING, image())
    second.paint(EVERYTHING, strokes(1, 2))
    second._begin_on_a_model()
    offsets = second._share_offsets(second.data.everywhere(), share_offsets)
    assert offsets[1] - offsets[0] > 0.15
    answer = second._learner.answer(offsets)
    np.testing.assert_allclose(answer.output_bias, record.weights["output.bias"], atol=0.03)


def test_a_model_for_other_channels_is_refused():
    trainer = trainer_for(1, 2, 3)
    learn(trainer, 5)
    with pytest.raises(ModelFileError, match="channel"):
        Trainer(SMALL, NetworkInput(3), trainer.record())


def test_painted_slabs_that_are_not_here_are_asked_for():
    trainer = trainer_for(1, 2)
    trainer.add_source(1, Space("ZYX", (9, *SHAPE)))
    trainer.paint(Box(1, (4, 0, 0), (5, 2, 2)), np.ones((1, 2, 2), np.uint8))
    assert trainer.missing() == [Box(1, (4, 0, 0), (5, *SHAPE))]
    trainer.forget()
    assert trainer.missing() == []
    assert not trainer.slabs


def test_pixels_of_another_shape_than_their_box_are_refused():
    trainer = Trainer(SMALL, NetworkInput())
    with pytest.raises(ValueError, match="no slab"):
        trainer.set_pixels(Box.whole(0, (96, 95)), image())
    with pytest.raises(ValueError, match="no slab"):
        trainer.set_pixels(Box.whole(0, (2, *SHAPE)), image())


def test_several_sources_are_learned_together():
    """Each class is painted on one source only; both are answered right on either."""
    trainer = Trainer(ALONE, NetworkInput())
    for source, value in ((0, 1), (1, 3)):
        box = Box.whole(source, SHAPE)
        trainer.set_pixels(box, image())
        trainer.paint(box, strokes(value))
    learn(trainer, 60)
    labels = labels_of(trainer)
    assert (labels[:, :32] == 1).mean() > 0.9
    assert (labels[:, 64:] == 3).mean() > 0.9


def test_a_trainer_that_nobody_holds_is_freed_at_once():
    # Its caches are large, and the next one begins before the garbage collector comes.
    trainer = trainer_for(1, 2)
    learn(trainer, 1)
    gone = weakref.ref(trainer)
    gc.disable()
    try:
        del trainer
        assert gone() is None
    finally:
        gc.enable()
