"""A forest as plain arrays, which can be saved without pickle and checked before use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_msd.core.errors import BadInputError, ModelFileError
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.trees import library, reference

MAX_FEATURES = 4096
MAX_TREES = 1000
MAX_TREE_NODES = 2**20
"""Prediction stores feature and step of a node in one 32-bit number: 12 and 20 bits."""
MAX_NODES = 2**24
"""Nodes of all trees: 200 MB of arrays."""
MAX_DEPTH = reference.MAX_DEPTH

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Forest:
    """Decision trees; each predicts the class shares of the leaf that a pixel reaches.

    The nodes of a tree are stored one after another, the root first, children after their parents.
    A pixel goes left if its feature is <= the threshold, else right; NaN goes right.

    The constructor checks nothing: use `checked` for untrusted arrays.

    Parameters
    ----------
    feature
        (nodes,) the feature that a node tests, 0 .. n_features - 1; -1 in a leaf.
    threshold
        (nodes,) in the feature's unit, finite; 0 in a leaf.
    child
        (nodes,) number of the left child, which the right one follows; in a leaf its row of
        `answers`.
    answers
        (leaves, n_classes) shares of the classes, 0 to 1, each row of sum 1.
    roots
        (trees,) node numbers of the roots, increasing, the first one 0.
    n_features
        Number of features per pixel.
    """

    feature: Integers
    threshold: Floats
    child: Integers
    answers: Floats
    roots: Integers
    n_features: int

    @classmethod
    def checked(
        cls,
        feature: npt.NDArray[np.generic],
        threshold: npt.NDArray[np.generic],
        child: npt.NDArray[np.generic],
        answers: npt.NDArray[np.generic],
        roots: npt.NDArray[np.generic],
        n_features: int,
    ) -> Forest:
        """Copy untrusted arrays, and check that they are a forest.

        Takes time in proportion to the number of nodes.

        Raises
        ------
        ModelFileError
            Half a sentence that says what is wrong.
        """
        if not 1 <= n_features <= MAX_FEATURES:
            raise ModelFileError(f"its trees use {n_features} features, not 1 to {MAX_FEATURES}")
        forest = cls(
            _vector(feature, np.int32, MAX_NODES, "feature"),
            _vector(threshold, np.float32, MAX_NODES, "threshold"),
            _vector(child, np.int32, MAX_NODES, "child"),
            _answers(answers),
            _vector(roots, np.int32, MAX_TREES, "roots"),
            int(n_features),
        )
        _require_trees(forest)
        return forest

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.answers.shape[1])

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def probabilities(self, features: npt.NDArray[np.floating]) -> Floats:
        """The mean class probabilities of the trees for every pixel.

        Parameters
        ----------
        features
            (n_features, n), one row per feature; float32 rows are used in place, others are
            copied. Any value may be NaN or infinite.

        Returns
        -------
        ndarray
            (n_classes, n) float32; each column has sum 1, except for rounding.

        Raises
        ------
        BadInputError
            If there are not `n_features` rows.
        """
        if features.ndim != 2 or features.shape[0] != self.n_features:
            raise BadInputError(
                f"The trees need {self.n_features} features of each pixel, "
                f"not an array of shape {features.shape}."
            )
        return mean_answers(self, self.roots, as_float32(features))


def as_float32(features: npt.NDArray[np.floating]) -> Floats:
    """Convert features to float32; values that are too large become infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(features, dtype=np.float32)


def mean_answers(forest: Forest, roots: Integers, features: Floats) -> Floats:
    """`Forest.probabilities` of the trees with these roots (at least one)."""
    compiled = library.load()
    predict = reference.predict if compiled is None else compiled.predict
    arrays = (forest.feature, forest.threshold, forest.child, forest.answers)
    return predict(*arrays, roots, features)


def _vector(
    values: npt.NDArray[np.generic], dtype: type[Number], most: int, name: str
) -> npt.NDArray[Number]:
    if values.ndim != 1 or values.dtype != dtype:
        raise ModelFileError(f"its trees' {name!r} is not a row of {np.dtype(dtype).name} numbers")
    if not 1 <= len(values) <= most:
        raise ModelFileError(f"its trees' {name!r} has {len(values)} entries, not 1 to {most}")
    return np.array(values, dtype=dtype, order="C")


def _answers(values: npt.NDArray[np.generic]) -> Floats:
    if values.ndim != 2 or values.dtype != np.float32:
        raise ModelFileError("its trees' 'answers' is not a table of float32 numbers")
    if not (1 <= values.shape[1] <= MAX_CLASSES and 1 <= values.shape[0] <= MAX_NODES):
        raise ModelFileError(f"its trees' 'answers' has shape {values.shape}")
    answers = np.array(values, dtype=np.float32, order="C")
    # Written so that NaN fails as well.
    if not (answers >= 0).all() or not (np.abs(answers.sum(axis=1) - 1) <= 1e-4).all():
        raise ModelFileError("an answer of its trees is not made of shares of sum 1")
    return answers


def _require_trees(forest: Forest) -> None:
    """Refuse arrays that are not a list of complete binary trees of bounded depth."""
    feature, child, roots = forest.feature, forest.child, forest.roots
    nodes = len(feature)
    if not len(forest.threshold) == len(child) == nodes:
        raise ModelFileError("its trees' arrays have different lengths")
    if not np.isfinite(forest.threshold).all():
        raise ModelFileError("its trees have thresholds that are not finite numbers")
    if feature.min() < -1 or feature.max() >= forest.n_features:
        raise ModelFileError("its trees ask for features that there are not")
    leaf = feature == -1
    if (child[leaf] < 0).any() or (child[leaf] >= len(forest.answers)).any():
        raise ModelFileError("its trees' leaves have answers that there are not")
    inner = np.flatnonzero(~leaf)
    left = child[inner].astype(np.int64)
    if (left <= inner).any() or (left + 1 >= nodes).any():
        raise ModelFileError("its trees' children do not come after their parents")
    sizes = np.diff(np.append(roots.astype(np.int64), nodes))
    if roots[0] != 0 or (sizes < 1).any() or (sizes > MAX_TREE_NODES).any():
        raise ModelFileError("its trees' roots are not in order, or a tree is too large")
    # Every node has one parent or is a root, so no node is reached twice, and the cost of a walk
    # over the levels is bounded by the number of nodes.
    tree = np.repeat(np.arange(len(roots)), sizes)
    if (tree[inner] != tree[np.minimum(left + 1, nodes - 1)]).any():
        raise ModelFileError("its trees share nodes")
    reached = np.bincount(np.concatenate([roots, left, left + 1]), minlength=nodes)
    if (reached != 1).any():
        raise ModelFileError("its trees share nodes, or hold some that nothing leads to")
    level = roots.astype(np.int64)
    for _ in range(MAX_DEPTH):
        level = level[feature[level] >= 0]
        if not len(level):
            return
        left = child[level].astype(np.int64)
        level = np.concatenate([left, left + 1])
    if (feature[level] >= 0).any():
        raise ModelFileError(f"its trees are deeper than {MAX_DEPTH} levels")
