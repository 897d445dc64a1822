"""The newest weights as they would be shown, and how they do on held-out strokes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_msd.inference import Predictor
from napari_msd.inference.ensemble import Ensemble
from napari_msd.inference.normalisation import Pixels
from napari_msd.network import MSDNet
from napari_msd.training.learner import Learner
from napari_msd.training.mixing import Mixing
from napari_msd.training.prior_correction import OffsetRule, share_offsets
from napari_msd.training.scores import Scores
from napari_msd.training.training_data import TrainingData
from napari_msd.training.validation import answers_of, measure

ShareOffsets = Callable[[Pixels, OffsetRule], npt.NDArray[np.float32]]
"""What to add to each output, by images from all over and a rule: see `Learner.offsets`."""


class Newest(NamedTuple):
    """A network, what is mixed with it (to be shown, and to be measured), and its scores."""

    network: MSDNet
    mix: tuple[Ensemble, Ensemble] | None
    scores: Scores


def newest_alone(
    learner: Learner, data: TrainingData, outputs: list[int], offsets: ShareOffsets
) -> Newest:
    """Without trees: the class shares are in the network's outputs.

    Parameters
    ----------
    learner
        Has the weights.
    data
        What is painted.
    outputs
        Class value of each output.
    offsets
        See `ShareOffsets`.
    """
    assert data.normalisation is not None
    network = learner.answer(offsets(data.everywhere(), share_offsets))
    predictor = Predictor(network, data.normalisation, outputs, data.classes)
    return Newest(network, None, measure(predictor, data.question))


def newest_mixed(
    learner: Learner,
    data: TrainingData,
    outputs: list[int],
    offsets: ShareOffsets,
    mixing: Mixing,
) -> Newest:
    """With trees, which grow first if strokes have changed; other arguments as above."""
    assert data.normalisation is not None
    classes = data.classes
    mixing.trees.update(classes)
    network = learner.answer(np.zeros(len(outputs), np.float32))
    alone = Predictor(network, data.normalisation, outputs, classes)
    answers = answers_of(alone, data.question)
    unseen = mixing.unseen(answers)
    mixing.weigh(answers, unseen, alone.classes)
    images = data.everywhere()
    found = offsets(images, mixing.rule(images, classes))
    mix = mixing.ensembles(dict(zip(outputs, found.tolist(), strict=True)))
    return Newest(network, mix, mixing.scores(answers, unseen, mix[1], classes, alone.classes))
