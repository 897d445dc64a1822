"""Trees beside a network: each answers for every pixel, and the answers are mixed.

Trees on many features know from the first stroke on, and learn a correction at once; the network
learns more slowly, and more. They err in different places, so the mean of the two is better than
either (docs/learning.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.inference.features import PixelFeatures, SlabCache, tiles_of_slab
from napari_msd.inference.normalisation import Pixels
from napari_msd.inference.slab_pixels import SlabPixels
from napari_msd.trees import Forest

ANSWER_BYTES = 128 * 2**20
"""Answers of the trees that are kept: they stay the same while the network goes on learning."""

FLOOR = 1e-3
"""Added to mixed probabilities before their logarithm is taken: nobody is surer than this."""

Numbers = npt.NDArray[np.float32]


class Trees:
    """A forest with the features that it asks for.

    Parameters
    ----------
    forest
        Class k of it is class ``values[k]``.
    values
        Class values, 1..255.
    features
        How a pixel's features are computed.
    """

    def __init__(self, forest: Forest, values: Sequence[int], features: PixelFeatures) -> None:
        self.forest = forest
        self.values = tuple(int(value) for value in values)
        self.features = features
        self._cache = SlabCache[Box, Pixels](ANSWER_BYTES)

    def probabilities(self, slab: SlabPixels, box: Box) -> Pixels:
        """Of each class of `values` in `box`: (k, rows, columns) float32.

        Parameters
        ----------
        slab
            Its pixels; those that `PixelFeatures.reads` names are here.
        box
            What to answer for, along the slab's axes; axes before these are not looked at.
        """
        box = replace(box.last(slab.ndim - 1), source=0)  # whosever slab it is
        out = np.empty((len(self.values), *box.shape), np.float32)
        for tile in tiles_of_slab(slab.shape[1:], box):
            part = tile.intersect(box)
            there, inner = part.within(box).slices, part.within(tile).slices
            out[(slice(None), *there)] = self._tile(slab, tile)[(slice(None), *inner)]
        return out

    def at(self, slab: SlabPixels, pixels: npt.NDArray[np.int32]) -> Numbers:
        """Of each class of `values` at single pixels (n, 2), (Y, X) in the slab: (k, n)."""
        return self.forest.probabilities(self.features.at(slab, pixels).T)

    def spare_memory(self) -> None:
        """Forget what was computed for slabs, and keep less from now on."""
        self._cache.shrink()
        self.features.spare_memory()

    def _tile(self, slab: SlabPixels, tile: Box) -> Pixels:
        known = self._cache.get(slab, tile)
        if known is None:
            features = self.features.tile(slab, tile)
            flat = self.forest.probabilities(features.reshape(len(features), -1))
            known = flat.reshape(-1, *tile.shape)
            self._cache.put(slab, tile, known, known.nbytes)
        return known


@dataclass(frozen=True, eq=False)
class Ensemble:
    """How the answers of trees and network become one.

    Parameters
    ----------
    trees
        Their classes may be fewer than the network's.
    weight
        Of the trees' probabilities, 0..1; the network's has the rest.
    offsets
        (k,): added to the logarithm of the mixed probability of each class of the trees; 0 for
        other classes.
    """

    trees: Trees
    weight: float
    offsets: tuple[float, ...]

    def logits(
        self, network: Numbers, answers: Numbers, classes: Sequence[int], active: Sequence[int]
    ) -> Numbers:
        """Logarithms of the mixed answers, but for what is common to all classes of a pixel.

        Parameters
        ----------
        network
            (k, ...): its probabilities, 0 for classes that are not active.
        answers
            (j, ...): the trees' probabilities of their own classes.
        classes
            Class value of each of the k.
        active
            Classes that may be answered with.

        Returns
        -------
        ndarray
            Like `network`, ``-inf`` for classes that are not active.
        """
        own = np.zeros_like(network)
        offsets = np.zeros((len(network),) + (1,) * (network.ndim - 1), np.float32)
        for k, value in enumerate(classes):
            if value in self.trees.values and value in active:
                j = self.trees.values.index(value)
                own[k] = answers[j]
                offsets[k] = self.offsets[j]
        total = own.sum(axis=0)
        # where the trees say nothing of the active classes the network answers alone
        own = np.where(total > 0, own / np.where(total > 0, total, 1), network)
        mixed = (1 - self.weight) * network + self.weight * own
        logits: Numbers = np.log(mixed + FLOOR) + offsets
        logits[[value not in active for value in classes]] = -np.inf
        return logits.astype(np.float32)
