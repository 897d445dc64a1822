"""The running average, and what it teaches."""

from __future__ import annotations

import numpy as np
import torch

from napari_msd import MSDNet
from napari_msd.core.settings import Settings
from napari_msd.training.learner import Learner
from napari_msd.training.patches import Batch
from napari_msd.training.step import AVERAGING

NOTHING = np.zeros(2, np.float32)
SETTINGS = Settings.from_preset(depth=3)


def learner() -> Learner:
    network = MSDNet(1, 2, depth=3, generator=torch.Generator().manual_seed(0))
    return Learner(network, SETTINGS)


def batch() -> Batch:
    random = np.random.default_rng(0)
    labels = np.full((2, 12, 12), -1)
    labels[0, 2:5], labels[1, 6:9] = 0, 1
    return Batch(random.standard_normal((2, 1, 12, 12)).astype(np.float32), labels)


def test_the_average_follows_by_its_share_of_a_step():
    learning = learner()
    start = learning.network.output_weight.detach().clone()
    learning.learn(batch(), [0, 1])
    moved = learning.network.output_weight.detach() - start
    assert moved.abs().max() > 0
    torch.testing.assert_close(
        learning.answer(NOTHING).output_weight - start,
        (1 - AVERAGING) * moved,
        atol=1e-7,
        rtol=1e-4,
    )


def test_offsets_are_in_the_answer_but_not_in_what_learns():
    learning = learner()
    answer = learning.answer(np.array([0.5, -0.5], np.float32))
    torch.testing.assert_close(answer.output_bias, torch.tensor([0.5, -0.5]))
    assert not learning.network.output_bias.any()
    assert not learning.answer(NOTHING).output_bias.any()


def test_growing_keeps_what_was_learned():
    learning = learner()
    learning.learn(batch(), [0, 1])
    before = learning.network.output_weight.detach().clone()
    learning.grow(3)
    torch.testing.assert_close(learning.network.output_weight[:2].detach(), before)
    assert not learning.network.output_weight[2].any()
    assert learning.answer(np.zeros(3, np.float32)).n_classes == 3
