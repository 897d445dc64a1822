"""What a grown forest is, and what its answers say: true of both ways to grow one."""

from __future__ import annotations

import numpy as np
import pytest

from napari_msd.core.errors import BadInputError, SettingsError
from napari_msd.trees import Forest, grow, library, out_of_fold

FIELDS = ("feature", "threshold", "child", "answers", "roots")


def assert_same(one: Forest, other: Forest) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def samples(n: int = 300, n_features: int = 8, n_classes: int = 3, seed: int = 0):
    """Classes that differ in the first half of the features, with much overlap."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, n_classes, n)
    features = random.normal(size=(n, n_features)).astype(np.float32)
    features[:, : n_features // 2] += labels[:, None]
    return features, labels


@pytest.fixture(params=["compiled", "numpy"], autouse=True)
def way(request, monkeypatch):
    """Every test here with the library and without it."""
    if request.param == "numpy":
        monkeypatch.setattr(library, "load", lambda: None)
    elif library.load() is None:
        pytest.skip("the compiled trees were not built")


def test_new_samples_are_classified():
    forest = grow(*samples(), 3)
    features, labels = samples(seed=1)
    answers = forest.probabilities(features.T)
    assert answers.shape == (3, 300)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=0), 1, rtol=0, atol=1e-5)
    # The best possible rule is right for 79 %: the classes' sums of 4 features lie 2 standard
    # deviations apart. Chance would be 33 %.
    assert (answers.argmax(axis=0) == labels).mean() > 0.7


def test_a_forest_stands_its_own_checks():
    features, labels = samples()
    forest = grow(features, labels, 3, min_leaf=1, trees=7)
    again = Forest.checked(*(getattr(forest, name) for name in FIELDS), forest.n_features)
    assert_same(forest, again)


def test_the_order_of_samples_does_not_matter():
    features, labels = samples()
    features[::3] = features[0]  # equal samples of different classes, too
    groups = np.arange(300) // 20
    order = np.random.default_rng(5).permutation(300)
    options = {"folds": 3, "trees": 9, "class_weights": (1, 0.3, 1.7)}
    forest = grow(features, labels, 3, groups=groups, **options)
    assert_same(forest, grow(features[order], labels[order], 3, groups=groups[order], **options))


def test_a_tree_does_not_depend_on_how_many_there_are():
    features, labels = samples()
    few, many = (grow(features, labels, 3, trees=trees) for trees in (4, 6))
    nodes = many.roots[4]
    np.testing.assert_array_equal(few.threshold, many.threshold[:nodes])
    assert len(few.feature) == nodes


def test_another_seed_gives_other_trees():
    features, labels = samples()
    thresholds = [grow(features, labels, 3, trees=1, seed=seed).threshold[0] for seed in (0, 1)]
    assert thresholds[0] != thresholds[1]


def leaf_counts(forest: Forest, features: np.ndarray) -> list[int]:
    """Samples in each leaf that any reaches, walked one by one."""
    counts: dict[int, int] = {}
    for root in forest.roots:
        for sample in features:
            node = root
            while forest.feature[node] >= 0:
                goes_left = sample[forest.feature[node]] <= forest.threshold[node]
                node = forest.child[node] + (not goes_left)
            counts[node] = counts.get(node, 0) + 1
    return list(counts.values())


@pytest.mark.parametrize("min_leaf", [1, 4])
def test_leaves_are_as_large_as_asked_for(min_leaf):
    features, labels = samples(120)
    forest = grow(features, labels, 3, trees=3, min_leaf=min_leaf)
    counts = leaf_counts(forest, features)
    assert len(counts) == len(forest.answers)  # no leaf is empty
    assert min(counts) >= min_leaf
    if min_leaf == 1:  # only pure nodes are left
        assert set(np.unique(forest.answers)) == {0, 1}


def test_leaves_answer_with_weighted_shares():
    features = np.zeros((4, 2), dtype=np.float32)  # nothing varies: one leaf
    forest = grow(features, np.array([0, 0, 0, 2]), 3, trees=1, class_weights=(1, 5, 2))
    np.testing.assert_array_equal(forest.feature, [-1])
    np.testing.assert_allclose(forest.answers, [[0.6, 0, 0.4]], rtol=1e-6)


def test_features_that_do_not_vary_are_no_candidates():
    features, labels = samples(n_features=4)
    wide = np.zeros((300, 40), dtype=np.float32)
    wide[:, 7:11] = features
    forest = grow(wide, labels, 3, trees=5, candidates=1)
    assert set(forest.feature) == {-1, 7, 8, 9, 10}


def test_weights_move_the_boundary():
    features, labels = samples(n_classes=2)
    shares = [
        grow(features, labels, 2, class_weights=(1, weight)).probabilities(features.T)[1].mean()
        for weight in (0.1, 1, 10)
    ]
    assert shares[0] < shares[1] < shares[2]


def test_pixels_without_a_value_go_right():
    features = np.repeat(np.float32([[0], [1]]), 5, axis=0)
    forest = grow(features, np.repeat([0, 1], 5), 2, trees=3)
    nothing = np.float32([[np.nan, np.inf, -np.inf]])
    np.testing.assert_array_equal(forest.probabilities(nothing), [[0, 0, 1], [1, 1, 0]])


def test_samples_without_a_value_are_grown_on():
    features, labels = samples()
    features[::4, :4] = np.nan
    features[1::4, 5] = np.inf
    forest = grow(features, labels, 3, trees=10)
    assert np.isfinite(forest.threshold).all()
    assert (forest.probabilities(features.T).argmax(axis=0) == labels).mean() > 0.8


def test_out_of_fold_answers_never_saw_the_fold():
    features, labels = samples()
    groups = np.random.default_rng(2).integers(0, 12, 300)
    folds, trees = 4, 10
    forest = grow(features, labels, 3, groups=groups, folds=folds, trees=trees)
    answers = out_of_fold(forest, features, groups, folds)
    for fold in range(folds):
        out = groups % folds == fold
        # Grown without the fold's samples, the same trees; only those that belong to the fold.
        refit = grow(features[~out], labels[~out], 3, trees=trees)
        total = np.zeros((out.sum(), 3), dtype=np.float32)
        for tree in range(fold, trees, folds):
            total += one_tree(refit, tree).probabilities(features[out].T).T
        expected = total / np.float32(len(range(fold, trees, folds)))
        np.testing.assert_array_equal(answers[out], expected)


def one_tree(forest: Forest, number: int) -> Forest:
    """A forest's tree as a forest of its own."""
    ends = np.append(forest.roots, len(forest.feature))
    nodes = slice(ends[number], ends[number + 1])
    inner = forest.feature[nodes] >= 0
    child = forest.child[nodes] - np.where(inner, ends[number], 0).astype(np.int32)
    root = np.zeros(1, dtype=np.int32)
    return Forest.checked(
        forest.feature[nodes], forest.threshold[nodes], child, forest.answers, root,
        forest.n_features,
    )  # fmt: skip


def test_out_of_fold_answers_are_humble_about_noise():
    random = np.random.default_rng(3)
    features = random.normal(size=(400, 5)).astype(np.float32)
    labels, groups = random.integers(0, 2, 400), np.arange(400) // 10
    forest = grow(features, labels, 2, groups=groups, folds=5, min_leaf=1)
    seen = (forest.probabilities(features.T).argmax(axis=0) == labels).mean()
    unseen = (out_of_fold(forest, features, groups, 5).argmax(axis=1) == labels).mean()
    assert seen > 0.95
    assert unseen < 0.6


def test_depth_is_bounded():
    # Each split cuts one sample off at best: thresholds lie near the largest of such values.
    features = (2.0 ** np.arange(-120, 120)).astype(np.float32)[:, None]
    forest = grow(features, np.arange(240) % 2, 2, trees=2, min_leaf=1)
    depth = np.zeros(len(forest.feature), dtype=int)
    for node in np.flatnonzero(forest.feature >= 0):
        depth[forest.child[node] : forest.child[node] + 2] = depth[node] + 1
    assert depth.max() == 64


@pytest.mark.parametrize("n", [0, 1, 5])
def test_any_number_of_pixels(n):
    features, labels = samples()
    forest = grow(features, labels, 3, trees=3)
    answers = forest.probabilities(features[:n].T)
    assert answers.shape == (3, n)
    np.testing.assert_array_equal(answers, forest.probabilities(features.T)[:, :n])


def test_parts_of_images_are_classified_where_they_lie():
    features, labels = samples()
    forest = grow(features, labels, 3, trees=3)
    expected = forest.probabilities(features.T)
    wide = np.full((10, 500), np.nan, dtype=np.float32)
    wide[1:9, 100:400] = features.T
    np.testing.assert_array_equal(forest.probabilities(wide[1:9, 100:400]), expected)
    backwards = forest.probabilities(features.T[:, ::-1].astype(np.float64))
    np.testing.assert_array_equal(backwards[:, ::-1], expected)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"labels": np.full(300, 3)}, BadInputError, "labels must be 0 to 2"),
        ({"labels": np.full(300, -1)}, BadInputError, "labels must be 0 to 2"),
        ({"labels": np.zeros(299, int)}, BadInputError, "300 whole numbers"),
        ({"labels": np.zeros(300)}, BadInputError, "300 whole numbers"),
        ({"features": np.zeros((0, 8))}, BadInputError, "at least one sample"),
        ({"features": np.zeros(8)}, BadInputError, "at least one sample"),
        ({"groups": np.full(300, -1), "folds": 2}, BadInputError, "groups must be 0"),
        ({"groups": np.full(300, 4), "folds": 2}, BadInputError, "one fold"),
        ({"folds": 2}, BadInputError, "need the group"),
        ({"folds": 1}, SettingsError, "at least 2"),
        ({"folds": 101, "groups": np.arange(300)}, SettingsError, "number of trees"),
        ({"trees": 0}, SettingsError, "number of trees"),
        ({"min_leaf": 0}, SettingsError, "samples in a leaf"),
        ({"candidates": 9}, SettingsError, "candidates"),
        ({"seed": -1}, SettingsError, "seed"),
        ({"n_classes": 0}, SettingsError, "classes"),
        ({"class_weights": (1, 1)}, SettingsError, "3 class weights"),
        ({"class_weights": (1, 1, np.nan)}, SettingsError, "3 class weights"),
        ({"class_weights": (1, 1, 0)}, SettingsError, "3 class weights"),
    ],
)
def test_wrong_arguments_are_said(change, error, words):
    features, labels = samples()
    arguments = {"features": features, "labels": labels, "n_classes": 3, **change}
    with pytest.raises(error, match=words):
        grow(**arguments)


def test_a_forest_that_could_become_too_large_is_refused_before_it_grows():
    with pytest.raises(SettingsError, match="use fewer samples"):
        grow(np.zeros((100_000, 1)), np.zeros(100_000, int), 2, trees=1000, min_leaf=1)


def test_other_features_than_the_forest_knows_are_said():
    features, labels = samples()
    forest = grow(features, labels, 3, trees=4)
    with pytest.raises(BadInputError, match="8 features of each pixel"):
        forest.probabilities(features)
    with pytest.raises(BadInputError, match="8 features of each sample"):
        out_of_fold(forest, features[:, 1:], labels, 2)
    with pytest.raises(SettingsError, match="number of folds"):
        out_of_fold(forest, features, labels, 5)
