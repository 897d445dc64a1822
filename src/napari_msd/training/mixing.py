"""Trees that learn beside the network, and the class shares of their common answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from napari_msd.annotation import StrokeStore, ValidationSplit
from napari_msd.inference import Plane
from napari_msd.inference.ensemble import FLOOR, Ensemble, Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.inference.normalisation import Pixels
from napari_msd.planes import PlaneKey
from napari_msd.training.class_shares import EVERY, Numbers, OffsetRule, share_offsets
from napari_msd.training.stroke_trees import StrokeTrees

WEIGHT = 0.5
"""Of the trees. Network and trees err in different places, and halves are best whichever of the
two is ahead (docs/learning.md)."""


class Mixing:
    """Trees in step with the strokes, ready to be mixed with any state of the network.

    Parameters
    ----------
    planes, strokes, split, seed
        As in `StrokeTrees`.
    features
        What the trees are told of a pixel.
    earlier
        Trees of a model that is trained on.
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
        self.trees = StrokeTrees(planes, strokes, split, features, seed, earlier)
        self._features = features
        self._samples: tuple[bytes, npt.NDArray[np.float32]] | None = None

    def rule(self, images: Pixels, classes: Sequence[int]) -> OffsetRule:
        """`share_offsets` of the mixed answers.

        Parameters
        ----------
        images
            (n, C, rows, columns), normalised: where the network's answers come from.
        classes
            Class value of each row of these answers.
        """

        def of_both(log_probabilities: Numbers, damping: float) -> Numbers:
            trees = self.trees.shown
            assert trees is not None
            answers = trees.forest.probabilities(self._sampled(images))
            network = np.exp(log_probabilities)
            mix = Ensemble(trees, WEIGHT, (0.0,) * len(trees.values))
            mixed = np.exp(mix.logits(network, answers, classes, classes)) - FLOOR
            return share_offsets(np.log(mixed / mixed.sum(axis=0) + FLOOR), damping)

        return of_both

    def ensembles(self, offsets: Mapping[int, float]) -> tuple[Ensemble, Ensemble]:
        """What is mixed with the network: to be shown, and to be measured on held-out strokes.

        Parameters
        ----------
        offsets
            By class value, as `rule` found them; 0 where there is none.
        """
        shown, measuring = self.trees.shown, self.trees.measuring
        assert shown is not None
        assert measuring is not None

        def mix(trees: Trees) -> Ensemble:
            own = tuple(float(offsets.get(value, 0.0)) for value in trees.values)
            return Ensemble(trees, WEIGHT, own)

        return mix(shown), mix(measuring)

    def _sampled(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Features (count, m) of the pixels that `log_probabilities` looks at."""
        digest = blake2b(images.tobytes(), digest_size=16).digest()
        if self._samples is None or self._samples[0] != digest:
            flat = [
                features.reshape(len(features), -1)
                for features in (self._features.of(image) for image in images)
            ]
            some = np.ascontiguousarray(np.concatenate(flat, axis=1)[:, ::EVERY])
            self._samples = digest, some
        return self._samples[1]
