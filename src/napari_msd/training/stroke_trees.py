"""Trees grown on strokes, and grown again whenever the strokes change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_msd.annotation import Piece, StrokeStore, ValidationSplit
from napari_msd.inference import Plane
from napari_msd.inference.ensemble import Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.planes import PlaneKey
from napari_msd.trees import Forest, grow

N_TREES = 60
"""More change nothing that can be measured (docs/learning.md)."""

EVIDENCE_TREES = 30
"""Of the forest that only measures."""

EARLIER_TREES = 30
"""Of a model that is trained on: its own strokes are gone, and these trees speak for them."""

MOST_SAMPLES = 12_000
"""Painted pixels that trees are grown on: growing stays a matter of a tenth of a second."""

_TURN = 2**32


class StrokeTrees:
    """Keeps two forests in step with the strokes.

    `shown` has seen all strokes, so that a correction is answered right at once; `measuring` has
    not seen what is held out, so that its score is honest.

    Parameters
    ----------
    planes
        Planes (C, Y, X) at hand; only strokes on these are learned.
    strokes, split
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
        planes: Mapping[PlaneKey, Plane],
        strokes: StrokeStore,
        split: ValidationSplit,
        features: PixelFeatures,
        seed: int,
        earlier: Trees | None = None,
    ) -> None:
        self.features = features
        self.shown: Trees | None = earlier
        self.measuring: Trees | None = None
        self._planes = planes
        self._strokes = strokes
        self._split = split
        self._seed = seed % 2**64
        self._earlier = earlier
        self._grown_from: object = None

    @property
    def due(self) -> bool:
        """Whether strokes or planes have changed since the trees were grown."""
        return self._grown_from != self._state(self._split.classes)

    def update(self, classes: list[int]) -> bool:
        """Grow both forests for these classes, if anything has changed; whether it had.

        Each class needs a piece to train on, on a plane at hand.
        """
        state = self._state(classes)
        if state == self._grown_from:
            return False
        everything = {value: self._here(self._strokes.pieces(value).values()) for value in classes}
        training = {value: self._here(self._split.training(value)) for value in classes}
        self.shown = self._grow(everything, N_TREES)
        whole = all(len(everything[v]) == len(training[v]) for v in classes)
        self.measuring = self.shown if whole else self._grow(training, EVIDENCE_TREES)
        self._grown_from = state
        return True

    def _state(self, classes: list[int]) -> object:
        return self._strokes.revision, tuple(classes), tuple(sorted(map(id, self._planes.values())))

    def _here(self, pieces: Iterable[Piece]) -> list[Piece]:
        return [piece for piece in pieces if piece.plane in self._planes]

    def _grow(self, pieces: dict[int, list[Piece]], n_trees: int) -> Trees:
        values = list(pieces)
        samples = [self._samples(pieces[value], len(values)) for value in values]
        counts = np.array([len(rows) for rows in samples], np.float64)
        labels = np.repeat(np.arange(len(values)), [len(rows) for rows in samples])
        weights = np.clip(counts.sum() / (len(values) * np.maximum(counts, 1)), 1e-6, 1e6)
        forest = grow(
            np.concatenate(samples),
            labels,
            len(values),
            trees=n_trees,
            class_weights=weights,
            seed=self._seed,
        )
        new = Trees(forest, values, self.features)
        return new if self._earlier is None else joined(self._earlier, new)

    def _samples(self, pieces: list[Piece], n_classes: int) -> npt.NDArray[np.float32]:
        """Features of a class's painted pixels, thinned where they are very many."""
        total = sum(len(piece.pixels) for piece in pieces)
        share = MOST_SAMPLES / n_classes / max(total, 1)
        rows = []
        for piece in pieces:
            features = self.features.at(self._planes[piece.plane], piece.pixels)
            rows.append(features if share >= 1 else features[_drawn(piece, share)])
        return np.concatenate(rows)


def _drawn(piece: Piece, share: float) -> npt.NDArray[np.bool_]:
    """About this share of a piece's pixels; which ones depends on where they lie only."""
    rows, columns = piece.pixels.astype(np.uint64).T
    # Knuth's multiplicative hash: no order of painting, and no other stroke, changes the choice
    mixed = (rows * np.uint64(2654435761) ^ columns * np.uint64(2246822519)) % np.uint64(_TURN)
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
