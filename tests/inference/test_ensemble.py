"""Trees and network answer together: the mixing by hand, and the same answer for any rectangle."""

import numpy as np
import pytest
import torch

from napari_msd.core.box import Box
from napari_msd.core.space import NetworkInput
from napari_msd.inference import EachPlane, Predictor, SlabPixels, ensemble, features
from napari_msd.inference.ensemble import FLOOR, Ensemble, Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.inference.tiles import tiles_of
from napari_msd.inference.uncertainty import uncertainty_of
from napari_msd.network import MSDNet
from napari_msd.trees import Forest, grow

SHAPE = (70, 90)
EVERYTHING = Box.whole(0, SHAPE)


def network_of(channels: int, outputs: int, seed: int = 0, scale: float = 0.4) -> MSDNet:
    torch.manual_seed(seed)
    network = MSDNet(channels, outputs, depth=3, dilations=(1, 2, 4))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * scale)
            parameter.requires_grad_(False)
    return network


@pytest.fixture
def plane() -> SlabPixels:
    grey = np.random.default_rng(1).normal(100, 10, (1, *SHAPE))
    grey[:, :, 30:60] += 40
    grey[:, :, 60:] += 90
    return SlabPixels.whole(grey.astype(np.uint16))


@pytest.fixture
def trees(plane) -> Trees:
    """They know classes 2 and 5: left and right."""
    pixel_features = PixelFeatures(network_of(1, 4, seed=1), EachPlane(), NetworkInput())
    rows, columns = np.mgrid[4:70:6, 2:90:4].reshape(2, -1)
    pixels = np.stack([rows, columns], axis=1).astype(np.int32)
    labels = (columns >= 45).astype(np.int64)
    return Trees(grow(pixel_features.at(plane, pixels), labels, 2, trees=8), [2, 5], pixel_features)


def features_like(trees: Trees) -> PixelFeatures:
    """The same, without what was computed."""
    return PixelFeatures(trees.features.bank, EachPlane(), NetworkInput())


def one_leaf(*shares: float) -> Forest:
    """A forest that says the same of every pixel."""
    return Forest(
        np.array([-1], np.int32),
        np.zeros(1, np.float32),
        np.zeros(1, np.int32),
        np.array([shares], np.float32),
        np.zeros(1, np.int32),
        1,
    )


def mix_of(values, weight: float = 0.5, offsets=None) -> Ensemble:
    pixel_features = PixelFeatures(network_of(1, 4, seed=1), EachPlane(), NetworkInput())
    shares = (1 / len(values),) * len(values)
    own = (0.0,) * len(values) if offsets is None else offsets
    return Ensemble(Trees(one_leaf(*shares), values, pixel_features), weight, own)


# --- the mixing -------------------------------------------------------------------------


def test_the_mixing_by_hand():
    network = np.array([[0.7, 0.1], [0.3, 0.9]], np.float32)
    answers = np.array([[0.2, 0.6], [0.8, 0.4]], np.float32)
    found = mix_of([1, 2], 0.25, (0.0, 0.5)).logits(network, answers, [1, 2], [1, 2])
    expected = [
        [np.log(0.75 * 0.7 + 0.25 * 0.2 + FLOOR), np.log(0.75 * 0.1 + 0.25 * 0.6 + FLOOR)],
        [
            np.log(0.75 * 0.3 + 0.25 * 0.8 + FLOOR) + 0.5,
            np.log(0.75 * 0.9 + 0.25 * 0.4 + FLOOR) + 0.5,
        ],
    ]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_rows_belong_to_classes_and_not_to_places():
    network = np.array([[0.5], [0.3], [0.2]], np.float32)
    answers = np.array([[0.1], [0.9]], np.float32)  # of 7 and 3
    found = mix_of([7, 3], 0.5, (1.0, 2.0)).logits(network, answers, [3, 5, 7], [3, 5, 7])
    expected = [
        np.log(0.5 * 0.5 + 0.5 * 0.9 + FLOOR) + 2,
        np.log(0.5 * 0.3 + FLOOR),
        np.log(0.5 * 0.2 + 0.5 * 0.1 + FLOOR) + 1,
    ]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)


def test_of_inactive_classes_nothing_is_left_to_the_others():
    """The trees' share of a class whose strokes are gone is dealt out to the others in ratio."""
    network = np.array([[0.6], [0.0], [0.4]], np.float32)
    answers = np.array([[0.1], [0.5], [0.4]], np.float32)
    found = mix_of([1, 2, 3]).logits(network, answers, [1, 2, 3], [1, 3])
    assert found[1, 0] == -np.inf
    np.testing.assert_allclose(
        found[[0, 2], 0], np.log(np.array([0.5 * 0.6 + 0.5 * 0.2, 0.5 * 0.4 + 0.5 * 0.8]) + FLOOR),
        rtol=1e-5,
    )  # fmt: skip


def test_where_the_trees_know_no_active_class_the_network_answers_alone():
    network = np.array([[0.7], [0.3], [0.0]], np.float32)
    answers = np.array([[0.0], [1.0]], np.float32)  # of 2 and 3; all of it for 3
    found = mix_of([2, 3]).logits(network, answers, [1, 2, 3], [1, 2])
    np.testing.assert_allclose(found[:2, 0], np.log(np.array([0.7, 0.3]) + FLOOR), rtol=1e-5)
    assert found[2, 0] == -np.inf


def test_classes_that_only_the_trees_know_are_never_answered():
    network = np.array([[0.6], [0.4]], np.float32)
    answers = np.array([[0.05], [0.9], [0.05]], np.float32)  # of 1, 9 and 2
    found = mix_of([1, 9, 2]).logits(network, answers, [1, 2], [1, 2])
    assert found.shape == (2, 1)
    np.testing.assert_allclose(
        found[:, 0], np.log(np.array([0.5 * 0.6 + 0.25, 0.5 * 0.4 + 0.25]) + FLOOR), rtol=1e-5
    )


def test_classes_that_only_the_network_knows_have_its_share():
    network = np.array([[0.2], [0.8]], np.float32)
    found = mix_of([1]).logits(network, np.ones((1, 1), np.float32), [1, 2], [1, 2])
    np.testing.assert_allclose(found[:, 0], np.log([0.6 + FLOOR, 0.4 + FLOOR]), rtol=1e-5)


@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_who_is_all_too_sure_can_be_outvoted_by_an_offset(sure):
    network = answers = np.array([[sure], [1 - sure]], np.float32)
    found = mix_of([1, 2]).logits(network, answers, [1, 2], [1, 2])
    assert np.isfinite(found).all()
    assert np.ptp(found) == pytest.approx(-np.log(FLOOR), rel=1e-3)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weights_at_the_ends_leave_one_of_them_only(weight):
    network = np.array([[0.9], [0.1]], np.float32)
    answers = np.array([[0.3], [0.7]], np.float32)
    found = mix_of([1, 2], weight).logits(network, answers, [1, 2], [1, 2])
    np.testing.assert_allclose(np.exp(found) - FLOOR, answers if weight else network, atol=1e-6)


# --- the trees' answers -----------------------------------------------------------------


def test_answers_of_any_rectangle_equal_those_of_the_whole(trees, plane, monkeypatch):
    at_once = trees.probabilities(plane, EVERYTHING)
    assert at_once.shape == (2, *SHAPE)
    np.testing.assert_allclose(at_once.sum(axis=0), 1, atol=1e-5)
    assert at_once[0, :, :20].mean() > 0.9
    assert at_once[1, :, 70:].mean() > 0.9
    monkeypatch.setattr(features, "TILE", {2: (32, 32)})
    again = Trees(trees.forest, trees.values, features_like(trees))
    for region in (
        Box(0, (0, 0), (1, 1)),
        Box(0, (20, 25), (51, 66)),
        EVERYTHING,
        Box(0, (69, 0), (70, 90)),
    ):
        found = again.probabilities(plane, region)
        np.testing.assert_array_equal(found, at_once[(slice(None), *region.slices)])


def test_answers_at_single_pixels_are_those_of_the_plane(trees, plane):
    pixels = np.array([[0, 0], [69, 89], [33, 44], [12, 61]], np.int32)
    expected = trees.probabilities(plane, EVERYTHING)[:, *pixels.T]
    np.testing.assert_array_equal(trees.at(plane, pixels), expected)


def test_trees_are_asked_once_for_each_tile(trees, plane, monkeypatch):
    asked = []
    probabilities = Forest.probabilities
    monkeypatch.setattr(
        Forest, "probabilities", lambda self, rows: asked.append(1) or probabilities(self, rows)
    )
    for region in (EVERYTHING, Box(0, (3, 3), (40, 40)), EVERYTHING):
        trees.probabilities(plane, region)
    assert len(asked) == 1
    copy = SlabPixels.whole(plane.read(EVERYTHING).copy())
    trees.probabilities(copy, Box(0, (3, 3), (40, 40)))
    assert len(asked) == 2


def test_answers_that_are_kept_are_bounded(trees, plane, monkeypatch):
    monkeypatch.setattr(features, "TILE", {2: (16, 16)})
    monkeypatch.setattr(ensemble, "ANSWER_BYTES", 3 * 2 * 16 * 16 * 4)
    again = Trees(trees.forest, trees.values, features_like(trees))
    expected = again.probabilities(plane, EVERYTHING)
    assert len(again._cache._entries) <= 4
    np.testing.assert_array_equal(again.probabilities(plane, EVERYTHING), expected)


# --- a predictor with trees -------------------------------------------------------------


@pytest.fixture
def predictor(trees) -> Predictor:
    """The network knows 5, 1 and 2, in this order; the trees 2 and 5."""
    mix = Ensemble(trees, 0.5, (0.2, -0.2))
    return Predictor(network_of(1, 3), EachPlane(), [5, 1, 2], ensemble=mix)


def without_trees(predictor: Predictor, active=None) -> Predictor:
    return Predictor(predictor.network, EachPlane(), predictor.classes.tolist(), active)


def test_predicting_is_the_mixing(predictor, trees, plane):
    network = without_trees(predictor).probabilities(plane, EVERYTHING)
    answers = trees.probabilities(plane, EVERYTHING)
    mix = Ensemble(trees, 0.5, (0.2, -0.2))
    logits = mix.logits(network, answers, [5, 1, 2], [5, 1, 2])
    expected = np.exp(logits) / np.exp(logits).sum(axis=0)
    found = predictor.probabilities(plane, EVERYTHING)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - network).max() > 0.1


def test_tiles_equal_the_whole(predictor, plane):
    at_once = predictor.probabilities(plane, EVERYTHING)
    labels = predictor.labels(plane, EVERYTHING)
    for tile in tiles_of(EVERYTHING, 25):
        found = predictor.probabilities(plane, tile)
        # torch's softmax rounds the pixels that are left over at a row's end in another way
        np.testing.assert_allclose(found, at_once[(slice(None), *tile.slices)], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(predictor.labels(plane, tile), labels[tile.slices])


def test_tiles_on_too_little_memory_equal_the_whole(predictor, plane, monkeypatch):
    expected = predictor.labels(plane, EVERYTHING)
    real = Predictor._network_logits

    def small_only(self, plane, region, read):
        if max(region.shape) > 50:
            raise torch.cuda.OutOfMemoryError
        return real(self, plane, region, read)

    monkeypatch.setattr(Predictor, "_network_logits", small_only)
    np.testing.assert_array_equal(predictor.labels(plane, EVERYTHING), expected)


def test_labels_probabilities_and_uncertainty_agree(predictor, plane):
    probabilities = predictor.probabilities(plane, EVERYTHING)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    labels = predictor.labels(plane, EVERYTHING)
    np.testing.assert_array_equal(labels, np.array([5, 1, 2])[probabilities.argmax(axis=0)])
    again, unsure = predictor.labels_and_uncertainty(plane, EVERYTHING, 1.0)
    np.testing.assert_array_equal(again, labels)
    expected = uncertainty_of(torch.from_numpy(np.log(probabilities)), 1.0).numpy()
    np.testing.assert_allclose(unsure.astype(int), expected.astype(int), atol=1)
    assert unsure.max() > unsure.min() + 50


@pytest.mark.parametrize("active", [[5, 1], [1, 2], [5, 2], [1]])
def test_inactive_classes_are_never_answered(predictor, trees, plane, active):
    some = Predictor(
        predictor.network, EachPlane(), [5, 1, 2], active, Ensemble(trees, 0.5, (5.0, 5.0))
    )
    probabilities = some.probabilities(plane, EVERYTHING)
    silent = [k for k, value in enumerate([5, 1, 2]) if value not in active]
    assert (probabilities[silent] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    labels, unsure = some.labels_and_uncertainty(plane, EVERYTHING, 2.0)
    assert set(np.unique(labels)) <= set(active)
    assert unsure.any() == (len(active) > 1)


def test_logits_at_pixels_agree_with_the_whole(predictor, plane):
    pixels = np.array([[10, 10], [33, 44], [60, 70]], np.int32)
    found = predictor.logits_at(plane, EVERYTHING, pixels)
    assert found.shape == (3, 3)
    expected = predictor.probabilities(plane, EVERYTHING)[:, *pixels.T]
    np.testing.assert_allclose(np.exp(found) / np.exp(found).sum(axis=0), expected, atol=1e-5)


@pytest.mark.parametrize("with_trees", [True, False])
def test_logits_at_pixels_see_the_patch_and_no_more(predictor, plane, with_trees):
    """The trees see the whole plane, but there they are of the same mind."""
    asked = predictor if with_trees else without_trees(predictor)
    patch = Box(0, (20, 24), (52, 56))
    pixels = np.array([[20, 24], [51, 55], [30, 40]], np.int32)
    normalised = EachPlane().for_slab(plane)
    cut = SlabPixels.whole(plane.read(patch))
    alone = Predictor(predictor.network, normalised, [5, 1, 2]).probabilities(
        cut, Box.whole(0, (32, 32))
    )
    expected = alone[:, *(pixels - [20, 24]).T]
    if with_trees:
        answers = predictor._ensemble.trees.at(plane, pixels)
        expected = np.exp(predictor._ensemble.logits(expected, answers, [5, 1, 2], [5, 1, 2]))
    found = np.exp(asked.logits_at(plane, patch, pixels))
    np.testing.assert_allclose(
        found / found.sum(axis=0), expected / expected.sum(axis=0), atol=1e-5
    )
