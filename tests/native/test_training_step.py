"""Steps of training with the CUDA core's own sources, run on the CPU: maps in float16."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from napari_msd import MSDNet
from napari_msd.core.settings import Settings
from napari_msd.training.learner import Learner
from napari_msd.training.patches import Batch
from napari_msd.training.stepper import Way

from .oracle import Case, on

SETTINGS = Settings.from_preset(learning_rate=0.01)


def batch(seed: int) -> Batch:
    """Two noisy patches of two classes that can be told apart, and strokes on them."""
    random = np.random.default_rng(seed)
    truth = (np.arange(24) > random.integers(6, 18)).astype(np.int64)
    images = random.normal(size=(2, 1, 24, 24)) + 2 * truth
    labels = np.full((2, 24, 24), -1)
    labels[:, 4:7] = truth
    return Batch(images.astype(np.float32), labels)


@on("cuda-shim")
def test_steps_with_maps_in_float16_learn_what_float32_learns(case: Case, monkeypatch):
    half = replace(case, map_dtype=torch.float16)

    def forward(self: MSDNet, image: torch.Tensor) -> torch.Tensor:
        return (half if torch.is_autocast_enabled("cpu") else case).logits(self, image)

    monkeypatch.setattr(MSDNet, "forward", forward)
    losses, weights = {}, {}
    for way in (Way(), Way(sixteen_bits=True)):
        net = MSDNet(1, 2, depth=9, generator=torch.Generator().manual_seed(0))
        learner = Learner(net, SETTINGS, way)
        losses[way.sixteen_bits] = np.array([learner.learn(batch(i), [0, 1]) for i in range(12)])
        weights[way.sixteen_bits] = net.weight.detach().clone()
        assert learner._stepper.way == way
    assert losses[False][-3:].mean() < 0.8 * losses[False][:3].mean()
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-3)
    assert not torch.equal(weights[True], weights[False])
