"""The trees in NumPy: the reference for tests of the compiled library, and the fallback.

Both make the same forest and the same predictions, bit for bit. This requires:

- Random numbers without state. Each is a function of seed, tree, number of the node in its tree,
  and position of the feature among those drawn there. So trees can be grown in any order and on
  any thread.
- Class counts as integers, weighted afterwards in double precision, class after class. So the
  order of samples does not matter.
- Splits that depend only on a node's counts and on each feature's smallest and largest value.

Growth proceeds level by level over many trees at once, because NumPy is fast on long arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MAX_DEPTH = 64
"""Maximum number of steps from a root to a leaf."""

_SAMPLES_AT_ONCE = 2**20
"""Samples times trees that are processed together, in about 100 MB."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LARGEST = np.finfo(np.float32).max

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class Arrays(NamedTuple):
    """The arrays of a `Forest`, in its order."""

    feature: Integers
    threshold: Floats
    child: Integers
    answers: Floats
    roots: Integers


class Growth(NamedTuple):
    """How trees are grown; `growing.grow` checks and explains the values."""

    class_weights: npt.NDArray[np.float64]
    trees: int
    min_leaf: int
    candidates: int
    seed: int
    folds: int


def mixed(word: Any) -> Any:
    """Scramble uint64 words: the last step of splitmix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def drawn(key: Words | np.uint64, number: Words | np.uint64) -> Any:
    """Random 64 bits: a function of a key and of a number 0, 1, 2, ... under it."""
    with np.errstate(over="ignore"):  # modulo 2**64
        return mixed(key + _GOLDEN * (number + np.uint64(1)))


def clean(features: Floats) -> Floats:
    """Prepare features for growing: replace infinite ones by the largest finite ones, -0 by 0."""
    clipped: Floats = np.clip(features, -_LARGEST, _LARGEST, dtype=np.float32)
    return clipped + np.float32(0)


class _Level(NamedTuple):
    """All nodes of one depth, tree after tree, and the samples in them.

    A node's samples are stored one after another: `rows[starts[i] : starts[i + 1]]` for node i.
    """

    tree: Counts
    number: Counts  # number of a node in its tree
    rows: Counts
    starts: Counts  # one more than there are nodes


class _Split(NamedTuple):
    """The best split found so far of each node of a level; feature -1 if there is none."""

    feature: Integers
    threshold: Floats


def grow(features: Floats, labels: Integers, groups: Integers | None, growth: Growth) -> Arrays:
    """Grow trees; see `growing.grow`, which checks the arguments."""
    columns = np.ascontiguousarray(clean(features).T)
    at_once = max(1, _SAMPLES_AT_ONCE // max(1, len(labels)))
    parts = []
    for first in range(0, growth.trees, at_once):
        trees = np.arange(first, min(first + at_once, growth.trees), dtype=np.int64)
        parts.append(_grow_some(columns, labels, groups, growth, trees))
    return _joined(parts)


def _grow_some(
    columns: Floats, labels: Integers, groups: Integers | None, growth: Growth, trees: Counts
) -> Arrays:
    keys = drawn(np.uint64(growth.seed), trees.astype(np.uint64))
    level = _roots(len(labels), groups, growth.folds, trees)
    n_nodes = np.ones(len(trees), dtype=np.int64)
    levels = []
    for depth in range(MAX_DEPTH + 1):
        counts = _class_counts(level, labels, len(growth.class_weights))
        totals = counts.sum(axis=1)
        open_ = (totals >= 2 * growth.min_leaf) & (counts.max(axis=1) < totals)
        node_keys = drawn(keys[level.tree - trees[0]], level.number.astype(np.uint64))
        if depth == MAX_DEPTH:
            open_[:] = False
        split = _best_splits(columns, labels, level, counts, open_, node_keys, growth)
        inner = split.feature >= 0
        # Children are numbered in the order of their parents, after all existing nodes.
        parents = np.bincount(level.tree[inner] - trees[0], minlength=len(trees))
        before = np.cumsum(inner) - 1
        tree_before = (np.cumsum(parents) - parents)[level.tree - trees[0]]
        child = n_nodes[level.tree - trees[0]] + 2 * (before - tree_before)
        child[~inner] = -1
        levels.append((level.tree, level.number, split, child, counts))
        if not inner.any():
            break
        n_nodes += 2 * parents
        level = _children(columns, level, split, child)
    return _in_order(levels, n_nodes, growth.class_weights)


def _roots(n: int, groups: Integers | None, folds: int, trees: Counts) -> _Level:
    """One node for each tree, with all its training samples."""
    rows = []
    for tree in trees:
        seen = np.arange(n, dtype=np.int64)
        rows.append(seen if groups is None or not folds else seen[groups % folds != tree % folds])
    starts = np.cumsum([0, *(len(seen) for seen in rows)])
    return _Level(trees, np.zeros_like(trees), np.concatenate(rows), starts)


def _nodes_of_samples(level: _Level) -> Counts:
    return np.repeat(np.arange(len(level.tree)), np.diff(level.starts))


def _class_counts(level: _Level, labels: Integers, n_classes: int) -> Counts:
    """Count the samples of each class in each node, (nodes, classes)."""
    places = _nodes_of_samples(level) * n_classes + labels[level.rows]
    size = len(level.tree) * n_classes
    return np.bincount(places, minlength=size).reshape(-1, n_classes)


def _selected(level: _Level, kept: npt.NDArray[np.bool_]) -> _Level:
    """Some of a level's nodes."""
    sizes = np.diff(level.starts)
    rows = level.rows[np.repeat(kept, sizes)]
    starts = np.concatenate([[0], np.cumsum(sizes[kept])])
    return _Level(level.tree[kept], level.number[kept], rows, starts)


def _best_splits(
    columns: Floats,
    labels: Integers,
    level: _Level,
    counts: Counts,
    open_: npt.NDArray[np.bool_],
    keys: Words,
    growth: Growth,
) -> _Split:
    """Find, for each node, the best of `candidates` random splits of features that vary in it."""
    n_features = len(columns)
    best = _Split(np.full(len(open_), -1, dtype=np.int32), np.zeros(len(open_), dtype=np.float32))
    best_score = np.full(len(open_), -1.0)
    nodes = np.flatnonzero(open_)  # those still without a final split
    level = _selected(level, open_)
    order = np.tile(np.arange(n_features, dtype=np.int32), (len(nodes), 1))
    found = np.zeros(len(nodes), dtype=np.int64)
    for visit in range(n_features):
        if not len(nodes):
            break
        # The next feature of a random order (Fisher & Yates): each is visited once at most.
        word = drawn(keys[nodes], np.uint64(2 * visit))
        left_over = np.uint64(n_features - visit)
        place = visit + (((word >> np.uint64(32)) * left_over) >> np.uint64(32)).astype(np.int64)
        every = np.arange(len(nodes))
        feature = order[every, place]
        order[every, place] = order[:, visit]
        owner = _nodes_of_samples(level)
        values = columns[feature[owner], level.rows]
        low = np.fmin.reduceat(values, level.starts[:-1])
        high = np.fmax.reduceat(values, level.starts[:-1])
        varies = low < high
        found += varies
        threshold = _thresholds(low, high, drawn(keys[nodes], np.uint64(2 * visit + 1)))
        left = _left_counts(values <= threshold[owner], owner, labels[level.rows], counts[nodes])
        score = _scores(left, counts[nodes], growth)
        better = varies & (score > best_score[nodes])
        best.feature[nodes[better]] = feature[better]
        best.threshold[nodes[better]] = threshold[better]
        best_score[nodes[better]] = score[better]
        kept = found < growth.candidates
        if not kept.all():
            level = _selected(level, kept)
            nodes, order, found = nodes[kept], order[kept], found[kept]
    return best


def _thresholds(low: Floats, high: Floats, word: Words) -> Floats:
    """A random number in [low, high), uniform except for rounding; meaningless if low == high."""
    uniform = (word >> np.uint64(11)).astype(np.float64) * 2.0**-53
    with np.errstate(invalid="ignore"):
        bottom = low.astype(np.float64)
        threshold = (bottom + uniform * (high.astype(np.float64) - bottom)).astype(np.float32)
    return np.where(threshold < high, threshold, low)


def _left_counts(
    goes_left: npt.NDArray[np.bool_], owner: Counts, labels: Integers, counts: Counts
) -> Counts:
    """Count the samples of each class that go left, (nodes, classes)."""
    places = owner[goes_left] * counts.shape[1] + labels[goes_left]
    return np.bincount(places, minlength=counts.size).reshape(counts.shape)


def _scores(left: Counts, counts: Counts, growth: Growth) -> npt.NDArray[np.float64]:
    """Score of each split: larger for lower weighted Gini impurity; -2 if a side is too small.

    With the weights w of the classes on a side and their sum W, a side's impurity is
    1 - sum(w^2) / W^2, weighted by W. W summed over both sides is the same for all splits.
    """
    sides = (left, counts - left)
    score = np.zeros(len(counts))
    allowed = np.ones(len(counts), dtype=bool)
    for side in sides:
        allowed &= side.sum(axis=1) >= growth.min_leaf
        total, squares = np.zeros(len(counts)), np.zeros(len(counts))
        for number, weight in enumerate(growth.class_weights):
            weighted = side[:, number] * weight
            total += weighted
            squares += weighted * weighted
        with np.errstate(invalid="ignore"):
            score += squares / total
    return np.where(allowed, score, -2.0)


def _children(columns: Floats, level: _Level, split: _Split, child: Counts) -> _Level:
    """Make the next level: both children of each inner node, in the order of their numbers."""
    inner = split.feature >= 0
    below = _selected(level, inner)
    owner = _nodes_of_samples(below)
    values = columns[split.feature[inner][owner], below.rows]
    places = 2 * owner + ~(values <= split.threshold[inner][owner])
    order = np.argsort(places, kind="stable")
    sizes = np.bincount(places, minlength=2 * len(below.tree))
    number = (child[inner][:, None] + np.arange(2)).ravel()
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return _Level(np.repeat(below.tree, 2), number, below.rows[order], starts)


def _in_order(
    levels: list[tuple[Counts, Counts, _Split, Counts, Counts]],
    n_nodes: Counts,
    class_weights: npt.NDArray[np.float64],
) -> Arrays:
    """Join the nodes of all levels, sorted by tree and number."""
    trees, numbers, splits, children, counts = zip(*levels, strict=True)
    tree, number = np.concatenate(trees), np.concatenate(numbers)
    order = np.lexsort((number, tree))
    feature = np.concatenate([split.feature for split in splits])[order]
    threshold = np.concatenate([split.threshold for split in splits])[order]
    roots = np.cumsum(n_nodes) - n_nodes
    child = np.concatenate(children)[order] + np.repeat(roots, n_nodes)
    leaf = feature < 0
    child[leaf] = np.arange(leaf.sum())
    answers = _shares(np.concatenate(counts)[order][leaf], class_weights)
    integers = (feature, child.astype(np.int32), roots.astype(np.int32))
    return Arrays(integers[0], threshold, integers[1], answers, integers[2])


def _shares(counts: Counts, class_weights: npt.NDArray[np.float64]) -> Floats:
    """Compute the weighted share of each class, (leaves, classes)."""
    weighted = counts * class_weights
    total = np.zeros(len(counts))
    for number in range(len(class_weights)):
        total += weighted[:, number]
    return (weighted / total[:, None]).astype(np.float32)


def _joined(parts: list[Arrays]) -> Arrays:
    """Join forests into one."""
    nodes = leaves = 0
    children, roots = [], []
    for part in parts:
        children.append(part.child + np.where(part.feature < 0, leaves, nodes).astype(np.int32))
        roots.append(part.roots + np.int32(nodes))
        nodes += len(part.feature)
        leaves += len(part.answers)
    return Arrays(
        np.concatenate([part.feature for part in parts]),
        np.concatenate([part.threshold for part in parts]),
        np.concatenate(children),
        np.concatenate([part.answers for part in parts]),
        np.concatenate(roots),
    )


def predict(
    feature: Integers,
    threshold: Floats,
    child: Integers,
    answers: Floats,
    roots: Integers,
    features: Floats,
) -> Floats:
    """The mean class probabilities of the trees with these roots; see `Forest.probabilities`.

    Parameters
    ----------
    features
        (n_features, n).

    Returns
    -------
    ndarray
        (n_classes, n), summed in float32 in the order of the roots.
    """
    n = features.shape[1]
    total = np.zeros((n, answers.shape[1]), dtype=np.float32)
    for root in roots:
        node = np.full(n, root, dtype=np.int32)
        walking = np.flatnonzero(feature[node] >= 0)
        while len(walking):
            at = node[walking]
            right = ~(features[feature[at], walking] <= threshold[at])
            node[walking] = child[at] + right
            walking = walking[feature[node[walking]] >= 0]
        total += answers[child[node]]
    return np.ascontiguousarray((total / np.float32(len(roots))).T)
