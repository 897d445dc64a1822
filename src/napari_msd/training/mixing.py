"""Trees that learn beside the network, and the class shares of their common answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from napari_msd.core.space import Mode, Slab
from napari_msd.document import Annotation, ValidationSplit
from napari_msd.inference import SlabPixels
from napari_msd.inference.ensemble import FLOOR, Ensemble, Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.inference.normalisation import Pixels
from napari_msd.training.prior_correction import (
    EVERY,
    Numbers,
    OffsetRule,
    bearable_offsets,
    share_offsets,
)
from napari_msd.training.scores import Scores
from napari_msd.training.stroke_trees import StrokeTrees
from napari_msd.training.validation import Answers, Places

WEIGHT: dict[Mode, float] = {"2d": 0.5, "2.5d": 0.75, "3d": 0.75}
"""Of the trees. Network and trees err in different places. In single planes halves are nearly
always best; with more slices in view trees are well ahead for the first minute
(docs/learning.md)."""

WEIGHT_WHERE_AHEAD: dict[Mode, float] = {"2d": 0.75, "2.5d": 0.9, "3d": 0.9}
"""Of the trees where held-out strokes say that they are clearly better than the network."""

CLEARLY = 0.05
"""Of held-out pixels (the mean over classes of the share that is right) so many more are right."""


class Mixing:
    """Trees in step with the strokes, ready to be mixed with any state of the network.

    Parameters
    ----------
    slabs, annotation, split, seed
        As in `StrokeTrees`.
    features
        What the trees are told of a pixel.
    earlier
        Trees of a model that is trained on.
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
        self.trees = StrokeTrees(slabs, annotation, split, features, seed, earlier)
        self._features = features
        self._samples: tuple[bytes, npt.NDArray[np.float32]] | None = None
        # What trees said last: they stay the same for many looks at a network that learns.
        self._said_of_samples: tuple[Trees, npt.NDArray[np.float32], Numbers] | None = None
        self._said_of_unseen: tuple[Trees, Places, Numbers] | None = None
        self._weight = WEIGHT[features.given.mode]

    def spare_memory(self) -> None:
        """Give back what is only kept for speed, and keep less from now on."""
        if self.trees.shown is not None:
            self.trees.shown.spare_memory()
        else:
            self._features.spare_memory()

    def unseen(self, answers: Answers | None) -> Numbers | None:
        """What the trees that have not seen the held-out strokes say of them.

        Parameters
        ----------
        answers
            The network's, None where nothing is held out.

        Returns
        -------
        ndarray or None
            (j, n): probability of each class of these trees at the pixels of `answers`.
        """
        trees = self.trees.measuring
        if answers is None or trees is None:
            return None
        known = self._said_of_unseen
        if known is None or known[0] is not trees or not _same(known[1], answers.places):
            said = [trees.at(slab, pixels) for slab, pixels in answers.places]
            known = trees, answers.places, np.concatenate(said, axis=1)
            self._said_of_unseen = known
        return known[2]

    def weigh(
        self,
        answers: Answers | None,
        unseen: Numbers | None,
        classes: npt.NDArray[np.uint8],
    ) -> None:
        """Decide what the trees' answers count, by held-out strokes that neither has seen.

        Parameters
        ----------
        answers
            The network's, None where nothing is held out.
        unseen
            The trees', see `unseen`.
        classes
            Class value of each row of the network's logits.
        """
        mode = self._features.given.mode
        self._weight = WEIGHT[mode]
        if answers is None or unseen is None:
            return
        assert self.trees.measuring is not None
        of_trees = np.array(self.trees.measuring.values)[unseen.argmax(axis=0)]
        of_network = classes[answers.logits.argmax(axis=0)]
        if _right(of_trees, answers.truth) > _right(of_network, answers.truth) + CLEARLY:
            self._weight = WEIGHT_WHERE_AHEAD[mode]

    def scores(
        self,
        answers: Answers | None,
        unseen: Numbers | None,
        mix: Ensemble,
        active: Sequence[int],
        classes: npt.NDArray[np.uint8],
    ) -> Scores:
        """IoU of the mixed answers on held-out strokes.

        Parameters
        ----------
        answers, unseen
            The network's and the trees', None where nothing is held out.
        mix
            How they become one: the second of `ensembles`.
        active
            Classes that may be answered with.
        classes
            Class value of each row of the network's logits.
        """
        if answers is None or unseen is None:
            return Scores()
        shifted = np.exp(answers.logits - answers.logits.max(axis=0))
        network = shifted / shifted.sum(axis=0)
        return answers.scores(classes, mix.logits(network, unseen, classes.tolist(), active))

    def rule(self, images: Pixels, classes: Sequence[int]) -> OffsetRule:
        """`bearable_offsets` of the mixed answers.

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
            answers = self._said_of(trees, self._sampled(images))
            network = np.exp(log_probabilities)
            mix = Ensemble(trees, self._weight, (0.0,) * len(trees.values))
            mixed = np.exp(mix.logits(network, answers, classes, classes)) - FLOOR
            logarithms = np.log(mixed / mixed.sum(axis=0) + FLOOR)
            seen = self.trees.out_of_fold
            if seen is None or seen.values != tuple(classes):
                return share_offsets(logarithms, damping)
            evidence = np.log(seen.answers + np.float32(FLOOR))
            return bearable_offsets(logarithms, damping, evidence, seen.labels)

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
            return Ensemble(trees, self._weight, own)

        return mix(shown), mix(measuring)

    def _said_of(self, trees: Trees, samples: npt.NDArray[np.float32]) -> Numbers:
        known = self._said_of_samples
        if known is None or known[0] is not trees or known[1] is not samples:
            known = trees, samples, trees.forest.probabilities(samples)
            self._said_of_samples = known
        return known[2]

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


def _same(places: Places, others: Places) -> bool:
    """Whether these are the very arrays: an annotation that changed makes new ones."""
    return len(places) == len(others) and all(
        slab is other and pixels is more
        for (slab, pixels), (other, more) in zip(places, others, strict=True)
    )


def _right(predicted: npt.NDArray[np.integer], truth: npt.NDArray[np.uint8]) -> float:
    """Mean over the classes of truth of the share of pixels that are answered right."""
    return float(np.mean([(predicted[truth == v] == v).mean() for v in np.unique(truth)]))
