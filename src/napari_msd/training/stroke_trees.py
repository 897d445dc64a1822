"""Trees grown on strokes, and grown again whenever the strokes change."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.space import Slab
from napari_msd.document import Annotation, Piece, ValidationSplit
from napari_msd.inference import SlabPixels
from napari_msd.inference.ensemble import Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.training.patches import is_here
from napari_msd.trees import Forest, grow, out_of_fold
from napari_msd.trees.growing import WEIGHT_RANGE

N_TREES = 60
"""More change nothing that can be measured (docs/learning.md)."""

EVIDENCE_TREES = 30
"""Of the forest that only measures."""

EARLIER_TREES = 30
"""Of a model that is trained on: its own strokes are gone, and these trees speak for them."""

FOLDS = 4
"""Parts of the strokes that are left out in turn, to learn how well unseen strokes are answered."""

FOLD_TREES = 60
"""Trees in all; a quarter of them has not seen a given stroke."""

MOST_SAMPLES = 12_000
"""Painted pixels that trees are grown on: growing stays a matter of a tenth of a second."""

_TURN = 2**32
_MULTIPLIERS = (2246822519, 2654435761, 668265263)
"""Of a pixel's place along X, Y and Z."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What trees say of strokes that they have not seen.

    `labels` (n,) are indices into `values`, the class values; `answers` is (k, n),
    probabilities.
    """

    values: tuple[int, ...]
    labels: npt.NDArray[np.integer]
    answers: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Samples:
    """Painted pixels: features (n, count), labels (n,) as indices into `values`, folds (n,)."""

    values: tuple[int, ...]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.integer]
    folds: npt.NDArray[np.integer]


class StrokeTrees:
    """Keeps forests in step with the strokes.

    `shown` has seen all strokes, so that a correction is answered right at once; `measuring` has
    not seen what is held out, so that its score is honest; `out_of_fold` holds answers for all
    strokes, each by trees that have not seen it. The trees of an earlier model are in `shown`
    only: they may have been grown on these strokes.

    Parameters
    ----------
    slabs
        Pixels of the slabs at hand; only strokes on these are learned.
    annotation, split
        What is painted, and what of it is held out.
    features
        What the trees are told of a pixel.
    seed
        Of the trees.
    earlier
        Trees of a model that is trained on; they go on having a say.
    """

    def __init__(
        self,
        slabs: Mapping[Slab, SlabPixels],
        annotation: Annotation,
        split: ValidationSplit,
        features: PixelFeatures,
        seed: int,
        earlier: Trees | None = None,
    ) -> None:
        self.features = features
        self.shown: Trees | None = earlier
        self.measuring: Trees | None = None
        self.out_of_fold: OutOfFold | None = None
        self._slabs = slabs
        self._annotation = annotation
        self._split = split
        self._seed = seed % 2**64
        self._earlier = earlier
        self._grown_from: tuple[int, list[int]] | None = None
        self._grown_on: dict[Slab, weakref.ref[SlabPixels]] = {}

    @property
    def due(self) -> bool:
        """Whether strokes or painted slabs have changed since the trees were grown."""
        return not self._grown(self._split.classes)

    def update(self, classes: list[int]) -> bool:
        """Grow both forests for these classes, if anything has changed; whether it had.

        Each class needs a piece to train on, on a slab at hand.
        """
        if self._grown(classes):
            return False
        everything = {value: self._here(self._split.pieces(value)) for value in classes}
        training = {value: self._here(self._split.training(value)) for value in classes}
        samples = self._samples(everything)
        self.shown = new = self._trees(samples, N_TREES)
        if self._earlier is not None:
            self.shown = joined(self._earlier, new)
        held_out = any(self._here(self._split.measured(value)) for value in classes)
        self.measuring = self._trees(self._samples(training), EVIDENCE_TREES) if held_out else new
        self.out_of_fold = self._left_out(samples)
        self._grown_from = self._annotation.revision, list(classes)
        self._grown_on = {slab: weakref.ref(pixels) for slab, pixels in self._painted().items()}
        return True

    def _grown(self, classes: list[int]) -> bool:
        """Whether the trees are grown for these classes, from what is painted now."""
        painted = self._painted()
        return (
            self._grown_from == (self._annotation.revision, classes)
            and self._grown_on.keys() == painted.keys()
            and all(self._grown_on[slab]() is pixels for slab, pixels in painted.items())
        )

    def _painted(self) -> dict[Slab, SlabPixels]:
        """Painted slabs at hand."""
        return {s: self._slabs[s] for s in self._annotation.slabs if s in self._slabs}

    def _here(self, pieces: Iterable[Piece]) -> list[Piece]:
        return [piece for piece in pieces if is_here(self._slabs, piece)]

    def _trees(self, samples: _Samples, n_trees: int) -> Trees:
        return Trees(self._forest(samples, n_trees), samples.values, self.features)

    def _left_out(self, samples: _Samples) -> OutOfFold | None:
        """Answers for each sample by trees that have not seen its fold; None for a single fold."""
        if len(np.unique(samples.folds)) < FOLDS:
            return None
        forest = self._forest(samples, FOLD_TREES, FOLDS)
        answers = out_of_fold(forest, samples.features, samples.folds, FOLDS)
        return OutOfFold(samples.values, samples.labels, answers.T)

    def _forest(self, samples: _Samples, n_trees: int, folds: int = 0) -> Forest:
        n_classes = len(samples.values)
        counts = np.bincount(samples.labels, minlength=n_classes)
        balanced = counts.sum() / (n_classes * np.maximum(counts, 1))
        return grow(
            samples.features,
            samples.labels,
            n_classes,
            groups=samples.folds,
            folds=folds,
            trees=n_trees,
            class_weights=np.clip(balanced, *WEIGHT_RANGE),
            seed=self._seed,
        )

    def _samples(self, pieces: dict[int, list[Piece]]) -> _Samples:
        """Features of painted pixels, thinned where they are very many."""
        features, labels, folds = [], [], []
        for k, own in enumerate(pieces.values()):
            total = sum(len(piece.pixels) for piece in own)
            share = MOST_SAMPLES / len(pieces) / max(total, 1)
            for piece in own:
                rows = self.features.at(self._slabs[piece.slab], piece.pixels)
                features.append(rows if share >= 1 else rows[_drawn(piece, share)])
                labels.append(np.full(len(features[-1]), k))
                folds.append(np.full(len(features[-1]), _fold(piece)))
        return _Samples(
            tuple(pieces), np.concatenate(features), np.concatenate(labels), np.concatenate(folds)
        )


def _fold(piece: Piece) -> int:
    """The part of the strokes that a piece belongs to; decided by where it lies only."""
    # neighbouring blocks, which the same stroke crosses, are apart as rarely as may be
    *before, row, column = piece.block
    slab = piece.slab.source + sum(piece.slab.index)
    return (row // 2 + 3 * (column // 2) + sum(i // 2 for i in before) + slab) % FOLDS


def _drawn(piece: Piece, share: float) -> npt.NDArray[np.bool_]:
    """About this share of a piece's pixels; which ones depends on where they lie only."""
    # Knuth's multiplicative hash: no order of painting, and no other stroke, changes the choice
    along = zip(piece.pixels.astype(np.uint64).T[::-1], _MULTIPLIERS, strict=False)
    mixed = np.bitwise_xor.reduce([at * np.uint64(by) for at, by in along])
    mixed = mixed % np.uint64(_TURN)
    mixed = (mixed * np.uint64(3266489917)) % np.uint64(_TURN)
    chosen: npt.NDArray[np.bool_] = mixed < np.uint64(int(share * _TURN))
    chosen[0] = True  # each piece has a say
    return chosen


def joined(earlier: Trees, new: Trees) -> Trees:
    """Trees of a model that is trained on, thinned, and those of the strokes at hand together."""
    values = [*earlier.values, *(v for v in new.values if v not in earlier.values)]
    parts = [
        _widened(thinned(earlier.forest, EARLIER_TREES), earlier.values, values),
        _widened(new.forest, new.values, values),
    ]
    nodes = np.cumsum([0] + [len(part.feature) for part in parts])
    leaves = np.cumsum([0] + [len(part.answers) for part in parts])
    child = [
        np.where(part.feature < 0, part.child + leaf, part.child + node)
        for part, node, leaf in zip(parts, nodes, leaves, strict=False)
    ]
    forest = Forest(
        np.concatenate([part.feature for part in parts]),
        np.concatenate([part.threshold for part in parts]),
        np.concatenate(child).astype(np.int32),
        np.concatenate([part.answers for part in parts]),
        np.concatenate([p.roots + node for p, node in zip(parts, nodes, strict=False)]).astype(
            np.int32
        ),
        new.forest.n_features,
    )
    return Trees(forest, values, new.features)


def thinned(forest: Forest, n_trees: int) -> Forest:
    """At most `n_trees` of a forest's trees, evenly chosen."""
    if forest.n_trees <= n_trees:
        return forest
    ends = np.append(forest.roots[1:], len(forest.feature))
    chosen = np.unique(np.linspace(0, forest.n_trees - 1, n_trees).round().astype(int))
    nodes = np.concatenate([np.arange(forest.roots[t], ends[t]) for t in chosen])
    number = np.full(len(forest.feature), -1, np.int64)
    number[nodes] = np.arange(len(nodes))
    feature, child = forest.feature[nodes], forest.child[nodes].astype(np.int64)
    leaf = feature < 0
    rows, child[leaf] = np.unique(child[leaf], return_inverse=True)
    child[~leaf] = number[child[~leaf]]
    return Forest(
        feature,
        forest.threshold[nodes],
        child.astype(np.int32),
        forest.answers[rows],
        number[forest.roots[chosen]].astype(np.int32),
        forest.n_features,
    )


def _widened(forest: Forest, own: Sequence[int], values: Sequence[int]) -> Forest:
    """A forest whose answers are for all of `values`; it says 0 for those that it does not know."""
    answers = np.zeros((len(forest.answers), len(values)), np.float32)
    answers[:, [list(values).index(value) for value in own]] = forest.answers
    return Forest(
        forest.feature, forest.threshold, forest.child, answers, forest.roots, forest.n_features
    )
