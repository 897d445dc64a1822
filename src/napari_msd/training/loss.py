"""What training makes small: a cross-entropy with targets from strokes and from a teacher.

Targets have a number for each class and pixel, 0 where a pixel does not count. Pixels are not
gathered: whoever does has to wait for the GPU to count them, and a CUDA graph cannot hold it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Sum over pixels and classes of ``-target * log(softmax(logits))``.

    Parameters
    ----------
    logits, target
        (n, k, [planes,] rows, columns).
    """
    return -(torch.log_softmax(logits, dim=1) * target).sum()


def stroke_target(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Target of a mean over painted pixels, classes weighted by 1 / sqrt(painted in the batch).

    Parameters
    ----------
    logits
        (n, k, [planes,] rows, columns); only shape and type are looked at.
    labels
        (n, [planes,] rows, columns), int64: index of each pixel's class, negative where nothing is
        painted.
    smoothing
        Share of certainty (0..0.5) left to the other classes.

    Returns
    -------
    Tensor
        Like `logits`: with it `cross_entropy` is `torch.nn.functional.cross_entropy` with these
        class weights and label smoothing. All 0 if nothing is painted.
    """
    k = logits.shape[1]
    painted = (labels >= 0).unsqueeze(1)
    truth = torch.zeros_like(logits.detach())
    truth.scatter_(1, labels.clamp(min=0).unsqueeze(1), painted.to(truth.dtype))
    counts = truth.sum(dim=[0, *range(2, truth.ndim)])
    weights = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), 0)
    total = (weights * counts).sum()
    weights = weights / torch.where(total > 0, total, 1)
    smoothed = truth.mul_(1 - smoothing).add_(smoothing / k * painted)
    return smoothed.mul_(weights.view(-1, *(1,) * (labels.ndim - 1)))


def teacher_target(taught: Tensor, counted: Tensor) -> Tensor:
    """Target of a mean over the pixels that count: a teacher's answers.

    Parameters
    ----------
    taught
        (n, k, [planes,] rows, columns): the teacher's logits.
    counted
        (n, [planes,] rows, columns), bool. The target is all 0 if nothing counts.
    """
    share = counted / counted.sum().clamp(min=1)
    return torch.softmax(taught.detach(), dim=1).mul_(share.unsqueeze(1))
