"""Trees beside a network that learns: what is shown, measured, saved and opened again."""

from dataclasses import replace

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import EachPlane, Normalisation, Predictor, SlabPixels
from napari_msd.inference.ensemble import FLOOR
from napari_msd.training import Trainer
from napari_msd.training.mixing import WEIGHT, WEIGHT_WHERE_AHEAD
from napari_msd.training.prior_correction import EVERY, bearable_offsets, log_probabilities
from napari_msd.training.stroke_trees import EARLIER_TREES, N_TREES, thinned
from napari_msd.training.trainer import MEASURE_EVERY, REGROW_EVERY
from napari_msd.training.validation import answers_of
from napari_msd.trees import Forest

SHAPE = (96, 96)
EVERYTHING = Box.whole(0, SHAPE)
SLAB = Slab(0, ())
SMALL = Settings.from_preset(depth=3, patch_size=32, device="cpu")
FIELDS = ("feature", "threshold", "child", "answers", "roots")


def image(seed: int = 0) -> np.ndarray:
    """Dark, middle and bright thirds with noise, as uint16."""
    rng = np.random.default_rng(seed)
    grey = np.repeat([100, 200, 300], 32)[None, :] + rng.normal(0, 15, SHAPE)
    return grey.astype(np.uint16)


def strokes(*classes: int) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    for value in classes:
        column = 32 * (value - 1) + 14
        labels[4:92, column : column + 4] = value
    return labels


def truth(*classes: int) -> np.ndarray:
    return np.broadcast_to(np.repeat(classes, 32)[None, :], SHAPE)


def slice_of(index: int) -> Box:
    """A slab of a stack."""
    return Slab(0, (index,)).box((0, 0), SHAPE)


def trainer_for(*classes: int, settings: Settings = SMALL, start=None, seed: int = 0) -> Trainer:
    trainer = Trainer(settings, NetworkInput(), start)
    trainer.set_pixels(EVERYTHING, image(seed))
    trainer.paint(EVERYTHING, strokes(*classes))
    return trainer


def learn(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def probabilities_of(trainer: Trainer, plane: np.ndarray | None = None) -> np.ndarray:
    pixels = trainer.slabs[SLAB] if plane is None else SlabPixels.whole(plane[None])
    return trainer.predictor().probabilities(pixels, EVERYTHING)


def labels_of(trainer: Trainer, plane: np.ndarray | None = None) -> np.ndarray:
    pixels = trainer.slabs[SLAB] if plane is None else SlabPixels.whole(plane[None])
    return trainer.predictor().labels(pixels, EVERYTHING)


def assert_equal_forests(one, other) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def reopened(trainer: Trainer) -> ModelRecord:
    return ModelRecord.from_bytes(trainer.record().to_bytes())


# --- what is shown ----------------------------------------------------------------------


def test_the_first_step_shows_trees_already():
    trainer = learn(trainer_for(1, 2, 3), 1)
    assert trainer.learned
    assert trainer.kept_steps == 0
    assert trainer.record().trees.forest.n_trees == N_TREES
    assert (labels_of(trainer) == truth(1, 2, 3)).mean() > 0.9


DAB = Box(0, (40, 4), (46, 10))
"""On dark ground, of class 1."""


def dab_probability(trainer: Trainer) -> float:
    """How sure the answer is that `DAB` is of class 2."""
    row = trainer.outputs.index(2)
    return float(probabilities_of(trainer)[row][DAB.slices].mean())


@pytest.mark.parametrize("since_measured", range(6))
def test_a_new_stroke_is_in_the_answer_after_a_few_steps(since_measured):
    trainer = learn(trainer_for(1, 2, 3), MEASURE_EVERY + since_measured)
    assert trainer.measured_steps == MEASURE_EVERY
    before, shown = dab_probability(trainer), trainer.weights_shown
    trainer.paint(DAB, np.full(DAB.shape, 2, np.uint8))
    taken = 0
    while trainer.weights_shown == shown:
        trainer.step()
        taken += 1
        assert taken <= REGROW_EVERY + 1
    assert taken == max(1, REGROW_EVERY + 1 - since_measured)
    assert dab_probability(trainer) > before + 0.2
    trees = trainer.predictor()._ensemble.trees
    answers = trees.probabilities(trainer.slabs[SLAB], DAB)
    assert (np.array(trees.values)[answers.argmax(axis=0)] == 2).all()


def test_without_a_new_stroke_nothing_is_measured_in_between():
    trainer = learn(trainer_for(1, 2, 3), MEASURE_EVERY)
    trainer.set_pixels(slice_of(3), image(3))  # looked at, not painted on
    shown = trainer.weights_shown
    for _ in range(MEASURE_EVERY - 1):
        trainer.step()
        assert trainer.measured_steps == MEASURE_EVERY
        assert trainer.weights_shown == shown


def test_a_new_class_is_answered_with_after_a_few_steps():
    trainer = learn(trainer_for(1, 3), MEASURE_EVERY + 1)
    assert set(np.unique(labels_of(trainer))) == {1, 3}
    trainer.paint(EVERYTHING, strokes(1, 2, 3))
    learn(trainer, REGROW_EVERY)
    assert (labels_of(trainer) == truth(1, 2, 3)).mean() > 0.8


def test_a_class_whose_strokes_are_gone_is_not_answered_with_at_once():
    trainer = learn(trainer_for(1, 2, 3), 5)
    trainer.paint(EVERYTHING, strokes(1, 3))
    assert set(np.unique(labels_of(trainer))) == {1, 3}
    learn(trainer, REGROW_EVERY + 1)
    assert set(np.unique(labels_of(trainer))) == {1, 3}


@pytest.mark.parametrize("gain", [0.3, 5.0])
def test_a_darker_plane_is_answered_as_the_one_that_was_painted_on(gain):
    trainer = learn(trainer_for(1, 2, 3), 20)
    other = gain * image().astype(np.float64) + 11
    agreeing = labels_of(trainer, other) == labels_of(trainer, image().astype(np.float64))
    assert agreeing.mean() > 0.999


def test_without_trees_the_network_answers_alone():
    settings = Settings.from_preset(depth=3, patch_size=32, device="cpu", trees=False)
    trainer = learn(trainer_for(1, 2, settings=settings), 5)
    assert trainer.predictor()._ensemble is None
    assert trainer.record().trees is None


# --- what does not matter ---------------------------------------------------------------


def test_trees_do_not_depend_on_the_order_of_planes_or_strokes():
    planes = {0: (image(0), strokes(1, 2)), 1: (image(1), strokes(3, 2))}

    def forest(keys: list, planes_first: bool):
        trainer = Trainer(SMALL, NetworkInput())
        if planes_first:
            for key in keys:
                trainer.set_pixels(slice_of(key), planes[key][0])
        for key in reversed(keys):
            trainer.paint(slice_of(key), planes[key][1][None])
        for key in keys:
            trainer.set_pixels(slice_of(key), planes[key][0])
        return learn(trainer, 1).record().trees.forest

    first = forest([0, 1], True)
    for other in (forest([1, 0], True), forest([0, 1], False)):
        assert_equal_forests(other, first)


def share_offsets_of(trainer: Trainer) -> np.ndarray:
    images = trainer.data.everywhere()
    return trainer._share_offsets(images, trainer._mixing.rule(images, trainer.classes))


def test_class_shares_do_not_depend_on_the_plane_that_is_looked_at():
    trainer = learn(trainer_for(1, 2, 3), 10)
    before = share_offsets_of(trainer)
    assert np.abs(before).max() > 0
    name = trainer.network_id
    trainer.set_pixels(slice_of(5), np.random.default_rng(5).integers(0, 4000, SHAPE))
    np.testing.assert_array_equal(share_offsets_of(trainer), before)
    assert trainer.network_id == name
    trainer.keep_only([])
    assert set(trainer.slabs) == {Slab(0, ())}
    np.testing.assert_array_equal(share_offsets_of(trainer), before)


def test_class_shares_are_those_of_the_mixed_answer():
    trainer = learn(trainer_for(1, 2, 3), 10)
    images = trainer.data.everywhere()
    network = np.exp(log_probabilities(trainer._learner._average, images, [0, 1, 2]))
    trees = trainer._mixing.trees.shown
    features = np.concatenate(
        [trees.features.of(patch).reshape(29 + 27, -1) for patch in images], 1
    )
    answers = trees.forest.probabilities(features[:, ::EVERY])
    mixed = (1 - WEIGHT["2d"]) * network + WEIGHT["2d"] * answers
    seen = trainer._mixing.trees.out_of_fold
    evidence = np.log(seen.answers + np.float32(FLOOR))
    damping = trainer.settings.share_damping
    expected = bearable_offsets(np.log(mixed + FLOOR), damping, evidence, seen.labels)
    np.testing.assert_allclose(share_offsets_of(trainer), expected, atol=1e-5)


def test_class_shares_are_put_into_the_mixed_answer_and_not_into_the_network():
    """Else they would count one and a half times."""
    without = Settings.from_preset(depth=3, patch_size=32, device="cpu", share_damping=0.0)
    one, other = (
        learn(trainer_for(1, 2, settings=settings), 1).record() for settings in (SMALL, without)
    )
    for name, array in one.weights.items():
        np.testing.assert_array_equal(array, other.weights[name])
    assert one.trees.offsets[1] - one.trees.offsets[0] > 0.1  # two thirds are of class 2
    assert other.trees.offsets == (0.0, 0.0)


# --- what is measured -------------------------------------------------------------------


def test_what_is_shown_is_not_what_is_measured():
    trainer = learn(trainer_for(1, 2, 3), 5)
    shown, measuring = trainer.kept.mix
    assert shown.trees.forest.n_trees == N_TREES
    assert measuring.trees is trainer._mixing.trees.measuring
    assert measuring.trees is not shown.trees
    assert shown.offsets == measuring.offsets


def test_a_models_trees_are_not_measured_where_they_were_grown():
    """Noise with random strokes: who has seen a pixel knows it, and nobody else does."""
    noise = np.random.default_rng(0).integers(0, 1000, SHAPE)
    labels = np.random.default_rng(1).integers(1, 3, SHAPE).astype(np.uint8)
    labels[:, ::3] = 0

    def made(start=None) -> Trainer:
        trainer = Trainer(SMALL, NetworkInput(), start)
        trainer.set_pixels(EVERYTHING, noise)
        trainer.paint(EVERYTHING, labels)
        return learn(trainer, 1)

    trainer = made()
    painted = labels > 0
    assert (labels_of(trainer) == labels)[painted].mean() > 0.7
    chance = 0.45  # IoU of two guesses of even chance is a third
    assert trainer.kept_scores.mean < chance
    again = made(reopened(trainer))
    assert again.scores.mean < chance
    assert trainer.score_of(reopened(trainer)) < chance


def test_the_score_of_ones_own_model_is_ones_own_score():
    trainer = learn(trainer_for(1, 2, 3), 20)
    assert trainer.score_of(reopened(trainer)) == pytest.approx(trainer.kept_scores.mean)


# --- saved and opened again -------------------------------------------------------------


@pytest.mark.parametrize("normalise", ["plane", "first"])
def test_a_model_opened_again_answers_the_same_bit_for_bit(normalise):
    settings = Settings.from_preset(depth=3, patch_size=32, device="cpu", normalise=normalise)
    trainer = learn(trainer_for(1, 2, 3, settings=settings), 12)
    record = reopened(trainer)
    assert record.normalise == ("plane" if normalise == "plane" else "fixed")
    again = Trainer(SMALL, NetworkInput(), record)
    for plane in (image(), image(4) // 3):
        np.testing.assert_array_equal(
            probabilities_of(again, plane), probabilities_of(trainer, plane)
        )
    assert again.network_id == trainer.network_id
    second = reopened(again)
    assert_equal_forests(second.trees.forest, record.trees.forest)
    assert second.trees.header() == record.trees.header()


def test_how_planes_are_normalised_is_the_models_and_not_the_settings():
    first = Settings.from_preset(depth=3, patch_size=32, device="cpu", normalise="first")
    by_plane = reopened(learn(trainer_for(1, 2), 1))
    fixed = reopened(learn(trainer_for(1, 2, settings=first), 1))
    assert isinstance(Trainer(first, NetworkInput(), by_plane).normalisation, EachPlane)
    assert Trainer(SMALL, NetworkInput(), fixed).normalisation == Normalisation(
        fixed.mean, fixed.std
    )


@pytest.mark.parametrize("normalise", ["plane", "first"])
def test_a_model_whose_normalisation_is_not_used_learns_on(normalise):
    """Its trees go on having a say: they ask for features of normalised grey values."""
    settings = Settings.from_preset(depth=3, patch_size=32, device="cpu", normalise=normalise)
    record = reopened(learn(trainer_for(1, 2, 3, settings=settings), 12))
    again = Trainer(settings, NetworkInput(), record, fit_normalisation=True)
    other = 7.0 * image() + 1000
    again.set_pixels(EVERYTHING, other)
    again.paint(EVERYTHING, strokes(1, 2, 3))
    learn(again, 5)
    assert (labels_of(again, other) == truth(1, 2, 3)).mean() > 0.9
    assert again.record().trees.forest.n_trees == EARLIER_TREES + N_TREES


def test_training_on_with_other_strokes_leaves_a_models_trees_their_say():
    record = reopened(learn(trainer_for(1, 2, 3), 12))
    again = learn(trainer_for(1, 2, start=record, seed=1), REGROW_EVERY + 1)
    forest = again.record().trees.forest
    assert again.record().trees.values == (1, 2, 3)
    assert forest.n_trees == EARLIER_TREES + N_TREES
    earlier = thinned(record.trees.forest, EARLIER_TREES)
    nodes = len(earlier.feature)
    np.testing.assert_array_equal(forest.feature[:nodes], earlier.feature)
    np.testing.assert_array_equal(forest.threshold[:nodes], earlier.threshold)
    np.testing.assert_array_equal(forest.answers[: len(earlier.answers)], earlier.answers)


def test_however_often_it_is_trained_on_a_model_does_not_grow():
    record = reopened(learn(trainer_for(1, 2, 3), 5))
    for seed in (1, 2):
        record = reopened(learn(trainer_for(1, 2, 3, start=record, seed=seed), 5))
        assert record.trees.forest.n_trees == EARLIER_TREES + N_TREES


def test_a_model_without_trees_gets_some_when_it_is_trained_on():
    bare = Settings.from_preset(depth=3, patch_size=32, device="cpu", trees=False)
    record = reopened(learn(trainer_for(1, 2, 3, settings=bare), 12))
    again = learn(trainer_for(1, 2, 3, start=record), REGROW_EVERY + 1)
    assert again.record().trees.forest.n_trees == N_TREES
    assert (labels_of(again) == truth(1, 2, 3)).mean() > 0.9


def test_a_model_for_other_channels_is_refused():
    record = reopened(learn(trainer_for(1, 2), 1))
    with pytest.raises(ModelFileError, match=r"1 channel, this image has 3"):
        Trainer(SMALL, NetworkInput(3), record)


# --- devices ----------------------------------------------------------------------------


def test_plain_torch_gives_nearly_the_same_answers():
    plain = Settings.from_preset(depth=3, patch_size=32, device="torch")
    one, other = (learn(trainer_for(1, 2, 3, settings=settings), 12) for settings in (SMALL, plain))
    assert (labels_of(one) == labels_of(other)).mean() > 0.98
    assert np.abs(probabilities_of(one) - probabilities_of(other)).mean() < 0.03
    assert other.backend[0] == "torch"
    bank = other._mixing.trees.features.bank
    assert bank.backend_in_use == "torch"
    again = Trainer(plain, NetworkInput(), reopened(other))
    np.testing.assert_allclose(probabilities_of(again, image()), probabilities_of(other), atol=1e-5)
    assert again._mixing.trees.features.bank.backend_in_use == "torch"


def test_a_correction_is_answered_right_at_once_and_far_away_little_moves():
    trainer = learn(trainer_for(1, 2, 3), 2)
    before = trainer.predictor().probabilities(trainer.slabs[SLAB], EVERYTHING)
    corrected = Box(0, (40, 42), (46, 48))  # in the middle of class 2: it is class 3 here
    trainer.paint(corrected, np.full((6, 6), 3, np.uint8))
    trainer._learner._stepper.adam.learning_rate = 0.0  # what the trees do alone
    for _ in range(REGROW_EVERY + 1):
        trainer.step()
    trees = trainer._mixing.trees.shown
    answer = trees.probabilities(trainer.slabs[SLAB], corrected)
    assert (np.array(trees.values)[answer.argmax(axis=0)] == 3).mean() > 0.9
    after = trainer.predictor().probabilities(trainer.slabs[SLAB], EVERYTHING)
    assert np.abs(after - before)[:, :, 70:].mean() < 0.05


def test_trees_weigh_more_where_unseen_strokes_say_that_they_are_better():
    trainer = learn(trainer_for(1, 2, 3), 40)
    mixing, classes = trainer._mixing, np.array([1, 2, 3], np.uint8)
    answers = answers_of(
        Predictor(trainer.kept.network, trainer.normalisation, trainer.outputs),
        trainer.data.question,
    )
    unseen = mixing.unseen(answers)
    mixing.weigh(answers, unseen, classes)
    assert mixing.ensembles({})[0].weight == WEIGHT["2d"]
    wrong = replace(answers, logits=-answers.logits)
    mixing.weigh(wrong, unseen, classes)
    assert [mix.weight for mix in mixing.ensembles({})] == [WEIGHT_WHERE_AHEAD["2d"]] * 2
    mixing.weigh(None, None, classes)
    assert mixing.ensembles({})[0].weight == WEIGHT["2d"]


def test_trees_weigh_more_in_volumes():
    volume = np.random.default_rng(0).normal(size=(6, 20, 40)).astype(np.float32)
    volume[..., 20:] += 3
    trainer = Trainer(
        Settings.from_preset(mode="3d", depth=3, patch_size=16, device="torch"),
        NetworkInput(convolved=3),
    )
    trainer.set_pixels(Box.whole(0, volume.shape), volume)
    for z in (1, 4):
        for value, columns in ((1, slice(3, 15)), (2, slice(25, 37))):
            strokes = np.zeros((1, 20, 40), np.uint8)
            strokes[0, 4:16:3, columns] = value
            box = Box(0, (z, 0, 0), (z + 1, 20, 40))
            trainer.paint(box, np.maximum(strokes, trainer.annotation.read(box)))
    trainer.step()
    assert trainer._mixing.ensembles({})[0].weight in (WEIGHT["3d"], WEIGHT_WHERE_AHEAD["3d"])
    assert WEIGHT_WHERE_AHEAD["3d"] > WEIGHT["3d"] > WEIGHT["2d"]


def test_trees_are_asked_again_only_after_the_strokes_changed(monkeypatch):
    trainer = learn(trainer_for(1, 2, 3), 2)
    mixing, asked, answer = trainer._mixing, [], Forest.probabilities
    monkeypatch.setattr(Forest, "probabilities", lambda *args: asked.append(1) or answer(*args))

    def said() -> list[np.ndarray]:
        trainer.measure()
        return [mixing._said_of_samples[-1], mixing._said_of_unseen[-1]]

    before = said()
    asked.clear()
    assert all(map(np.array_equal, said(), before))
    assert not asked
    trainer.paint(Box(0, (40, 42), (46, 48)), np.full((6, 6), 3, np.uint8))
    after = said()
    assert asked
    assert not any(map(np.array_equal, after, before))
    mixing._said_of_samples = mixing._said_of_unseen = None
    assert all(map(np.array_equal, said(), after))
