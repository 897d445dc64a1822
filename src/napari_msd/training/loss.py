"""What training makes small.

Pixels that do not count are multiplied by 0, never left out by an index: whoever gathers pixels
has to wait for the GPU to count them, and a CUDA graph cannot hold it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stroke_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy over painted pixels, classes weighted by 1 / sqrt(painted in the batch).

    Parameters
    ----------
    logits
        (n, k, [planes,] rows, columns).
    labels
        (n, [planes,] rows, columns), int64: index of each pixel's class, or negative where
        nothing is painted.
    smoothing
        Share of certainty (0..0.5) left to the other classes.

    Returns
    -------
    Tensor
        The mean weighted by class, as `torch.nn.functional.cross_entropy` has it; 0 if nothing is
        painted.
    """
    k = logits.shape[1]
    numbers = torch.arange(k, device=labels.device).view(-1, *(1,) * (labels.ndim - 1))
    truth = (labels.unsqueeze(1) == numbers).to(logits.dtype)  # 1 where a pixel is of the class
    painted = truth.sum(dim=1, keepdim=True)
    counts = truth.transpose(0, 1).flatten(1).sum(dim=1)
    weights = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), 0)
    wanted = (1 - smoothing) * truth + smoothing / k * painted
    per_class = (wanted * torch.log_softmax(logits, dim=1)).transpose(0, 1).flatten(1).sum(dim=1)
    total = (weights * counts).sum()
    return -(weights * per_class).sum() / torch.where(total > 0, total, 1)


def consistency_loss(logits: Tensor, taught: Tensor, counted: Tensor) -> Tensor:
    """Cross-entropy between a teacher's answers and ours, mean over the pixels that count.

    Parameters
    ----------
    logits, taught
        (n, k, rows, columns): ours, and the teacher's, which is not changed by it.
    counted
        (n, rows, columns), bool; 0 is returned if nothing counts.
    """
    teacher = torch.softmax(taught.detach(), dim=1)
    per_pixel = -(teacher * torch.log_softmax(logits, dim=1)).sum(dim=1)
    return (per_pixel * counted).sum() / counted.sum().clamp(min=1)
