"""The losses against torch's own, which gathers the painted pixels first."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from napari_msd.core.settings import Settings
from napari_msd.training.adam import Adam
from napari_msd.training.loss import cross_entropy, stroke_target, teacher_target
from napari_msd.training.loss_scale import LossScale
from napari_msd.training.patches import UNPAINTED
from napari_msd.training.step import Step


@pytest.mark.parametrize("size", [(5, 7), (2, 4, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_strokes_weigh_as_in_torchs_cross_entropy(size, smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, *size, generator=generator, dtype=torch.double, requires_grad=True)
    labels = torch.randint(UNPAINTED, 3, (2, *size), generator=generator)  # class 3 has no pixel
    painted = labels != UNPAINTED
    counts = torch.bincount(labels[painted], minlength=4).double()
    weights = torch.where(counts > 0, counts.rsqrt(), 0)
    wanted = F.cross_entropy(
        logits.movedim(1, -1)[painted], labels[painted], weights, label_smoothing=smoothing
    )
    loss = cross_entropy(logits, stroke_target(logits, labels, smoothing))
    torch.testing.assert_close(loss, wanted)
    gradients = (torch.autograd.grad(value, logits)[0] for value in (loss, wanted))
    torch.testing.assert_close(*gradients)


def test_nothing_painted_is_no_loss():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    labels = torch.full((1, 3, 3), UNPAINTED)
    loss = cross_entropy(logits, stroke_target(logits, labels, 0.2))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def teachers_loss(
    logits: torch.Tensor, taught: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    return cross_entropy(logits, teacher_target(taught, counted))


def test_agreement_with_the_teacher_is_best_where_they_agree():
    taught = torch.tensor([[2.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    everywhere = torch.ones(1, 1, 2, dtype=torch.bool)
    agreeing = teachers_loss(taught, taught, everywhere)
    assert agreeing < teachers_loss(-taught, taught, everywhere)
    assert teachers_loss(taught, taught, ~everywhere) == 0


def test_only_pixels_that_count_are_taught():
    logits = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    counted = torch.zeros(1, 3, 4, dtype=torch.bool)
    counted[0, 1, 2] = True
    teachers_loss(logits, torch.ones_like(logits), counted).backward()
    assert logits.grad[0, :, 1, 2].abs().min() > 0
    assert not logits.grad[:, :, ~counted[0]].any()


@pytest.mark.parametrize("consistency", [0.0, 0.3])
def test_a_pixel_that_does_not_count_may_be_nan(consistency):
    class Shift(torch.nn.Module):
        n_classes = 2

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, 2, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + self.weight

    net = Shift()
    images, labels = torch.zeros(1, 2, 2, 2), torch.tensor([[[0, 1], [UNPAINTED, 1]]])
    images[..., 1, 0] = float("nan")
    settings = Settings.from_preset(consistency=consistency)
    scale = LossScale(torch.device("cpu"), scales=False)
    adam = Adam([net.weight], 0.01)
    outcome = Step(net, copy.deepcopy(net), adam, settings, [0, 1], scale, False)(images, labels)
    assert bool(outcome.finite) == (consistency == 0)  # to the teacher's loss it does count
