"""The scale of the loss follows what torch's GradScaler does."""

from __future__ import annotations

import torch

from napari_msd.training.loss_scale import FIRST, GROWS_AFTER, LossScale

CPU = torch.device("cpu")


def test_it_halves_at_once_and_doubles_after_many_finite_steps():
    scale = LossScale(CPU, scales=True)
    factors = []
    for finite in [True] * (GROWS_AFTER - 1) + [False] + [True] * (2 * GROWS_AFTER) + [False]:
        scale.update(torch.tensor(finite))
        factors.append(float(scale.factor))
    changes = [factors[i] for i in range(1, len(factors)) if factors[i] != factors[i - 1]]
    assert factors[0] == FIRST
    assert changes == [FIRST / 2, FIRST, 2 * FIRST, FIRST]
    assert factors.index(FIRST / 2) == GROWS_AFTER - 1


def test_float32_needs_no_scale():
    scale = LossScale(CPU, scales=False)
    scale.update(torch.tensor(False))
    assert scale.factor == 1
