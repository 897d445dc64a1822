"""Grows trees from labelled samples, and classifies samples with trees not trained on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_msd.core.errors import BadInputError, SettingsError
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.trees import library, reference
from napari_msd.trees.forest import (
    MAX_FEATURES,
    MAX_NODES,
    MAX_TREE_NODES,
    MAX_TREES,
    Forest,
    as_float32,
    mean_answers,
)

WEIGHT_RANGE = (1e-6, 1e6)
"""Range of class weights, in which sums of their squares neither overflow nor underflow."""

Labels = npt.NDArray[np.integer]


def grow(
    features: npt.NDArray[np.floating],
    labels: Labels,
    n_classes: int,
    *,
    groups: Labels | None = None,
    folds: int = 0,
    trees: int = 100,
    min_leaf: int = 3,
    candidates: int | None = None,
    class_weights: Sequence[float] | npt.NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Forest:
    """Grow extremely randomised trees (Geurts, Ernst & Wehenkel 2006).

    At each node, of `candidates` random features that vary there, each with one random threshold
    between its smallest and largest value, the split with the lowest Gini impurity is kept. A node
    becomes a leaf when it is pure, too small, `MAX_DEPTH` steps below its root, or when no
    candidate leaves `min_leaf` samples on both sides.

    The forest does not depend on the order of samples or on the number of threads. A tree depends
    only on the seed, its number and its samples: tree 7 of 10 is also tree 7 of 100.

    Parameters
    ----------
    features
        (n, n_features), converted to float32. NaN is in no interval and goes right; infinite
        values count as the largest finite ones.
    labels
        (n,) classes, 0 .. n_classes - 1; not all classes need samples.
    n_classes
        1 to `MAX_CLASSES`.
    groups
        (n,) group numbers >= 0; the pixels of one piece of a stroke are a group. Needed with
        `folds`.
    folds
        0: every tree is trained on all samples. Else at least 2: tree t leaves out the samples with
        ``groups % folds == t % folds``, for `out_of_fold`.
    trees
        1 to `MAX_TREES`, and at least `folds`.
    min_leaf
        Minimum number of samples in a leaf, >= 1.
    candidates
        Features tried per node, 1 .. n_features; None: the root of n_features, rounded.
    class_weights
        (n_classes,) weight of a sample of each class, within `WEIGHT_RANGE`; None: all 1.
    seed
        0 .. 2**64 - 1.

    Returns
    -------
    Forest
        Each leaf predicts the weighted class shares of its samples.

    Raises
    ------
    BadInputError
        If there are no samples, the lengths of arrays differ, labels or groups are outside their
        range, or all samples are in one fold.
    SettingsError
        For a setting outside its range, or if the forest could become too large.
    """
    values = np.require(as_float32(features), requirements=["C", "A"])
    if values.ndim != 2 or not len(values) or not 1 <= values.shape[1] <= MAX_FEATURES:
        raise BadInputError(
            f"Trees need at least one sample of 1 to {MAX_FEATURES} features, "
            f"not an array of shape {features.shape}."
        )
    n, n_features = values.shape
    _within("number of classes", n_classes, 1, MAX_CLASSES)
    own_labels = _numbers(labels, n, n_classes, "labels")
    own_groups = None if groups is None else _numbers(groups, n, 2**31, "groups")
    _within("number of trees", trees, max(1, folds), MAX_TREES)
    _within("number of samples in a leaf", min_leaf, 1, 2**31 - 1)
    _within("seed", seed, 0, 2**64 - 1)
    if candidates is None:
        candidates = max(1, round(math.sqrt(n_features)))
    _within("number of candidates", candidates, 1, n_features)
    _require_folds(own_groups, folds)
    _require_room(n, min_leaf, trees)
    growth = reference.Growth(
        _weights(class_weights, n_classes), trees, min_leaf, candidates, seed, folds
    )
    compiled = library.load()
    make = reference.grow if compiled is None else compiled.grow
    return Forest(*make(values, own_labels, own_groups if folds else None, growth), n_features)


def out_of_fold(
    forest: Forest, features: npt.NDArray[np.floating], groups: Labels, folds: int
) -> npt.NDArray[np.float32]:
    """Classify each sample with the trees that were not trained on its fold.

    Parameters
    ----------
    forest
        Grown by `grow` with these `groups` and `folds`.
    features
        (n, n_features): the samples used by `grow`, or others.
    groups
        (n,) as in `grow`.
    folds
        As in `grow`, at least 2.

    Returns
    -------
    ndarray
        (n, n_classes) float32; each row has sum 1, except for rounding.

    Raises
    ------
    BadInputError
        If the lengths of arrays differ.
    SettingsError
        For fewer than 2 folds, or more than there are trees.
    """
    values = as_float32(features)
    if values.ndim != 2 or values.shape[1] != forest.n_features:
        raise BadInputError(
            f"The trees need {forest.n_features} features of each sample, "
            f"not an array of shape {features.shape}."
        )
    _within("number of folds", folds, 2, forest.n_trees)
    fold = _numbers(groups, len(values), 2**31, "groups") % folds
    answers = np.empty((len(values), forest.n_classes), dtype=np.float32)
    for number in range(folds):
        rows = np.flatnonzero(fold == number)
        if len(rows):
            planar = np.ascontiguousarray(values[rows].T)
            roots = np.ascontiguousarray(forest.roots[number::folds])
            answers[rows] = mean_answers(forest, roots, planar).T
    return answers


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SettingsError(f"The {name} must be {least} to {most}, not {value}.")


def _numbers(values: Labels, n: int, end: int, name: str) -> npt.NDArray[np.int32]:
    """Copy n numbers 0 .. end - 1 to int32."""
    if values.shape != (n,) or not np.issubdtype(values.dtype, np.integer):
        raise BadInputError(f"The {name} of {n} samples must be {n} whole numbers in a row.")
    if n and (values.min() < 0 or values.max() >= end):
        raise BadInputError(f"The {name} must be 0 to {end - 1}.")
    return np.ascontiguousarray(values, dtype=np.int32)


def _weights(
    weights: Sequence[float] | npt.NDArray[np.floating] | None, n_classes: int
) -> npt.NDArray[np.float64]:
    if weights is None:
        return np.ones(n_classes)
    own = np.array(weights, dtype=np.float64)
    least, most = WEIGHT_RANGE
    # Written so that NaN fails as well.
    if own.shape != (n_classes,) or not ((own >= least) & (own <= most)).all():
        raise SettingsError(f"There must be {n_classes} class weights of {least:g} to {most:g}.")
    return own


def _require_folds(groups: npt.NDArray[np.int32] | None, folds: int) -> None:
    """Refuse folds that leave a tree without samples."""
    if folds == 0:
        return
    if folds < 2:
        raise SettingsError(f"The number of folds must be 0 or at least 2, not {folds}.")
    if groups is None:
        raise BadInputError("Folds need the group of each sample.")
    fold = groups % folds
    if (fold == fold[0]).all():
        raise BadInputError("All samples are of one fold: give groups of at least two folds.")


def _require_room(n: int, min_leaf: int, trees: int) -> None:
    nodes = 2 * max(1, n // min_leaf) - 1
    if nodes > MAX_TREE_NODES or nodes * trees > MAX_NODES:
        raise SettingsError(
            f"{trees} trees of {n} samples could have {nodes * trees} nodes, more than {MAX_NODES} "
            "in all; use fewer samples or trees, or larger leaves."
        )
