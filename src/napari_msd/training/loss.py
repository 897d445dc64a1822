"""What training makes small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def stroke_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy over painted pixels, classes weighted by 1 / sqrt(painted in the batch).

    Parameters
    ----------
    logits
        (n, k): of the painted pixels only.
    labels
        (n,), int64: index of each pixel's class.
    smoothing
        Share of certainty (0..0.5) left to the other classes.
    """
    counts = torch.bincount(labels, minlength=logits.shape[1]).to(logits.dtype)
    weights = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), counts)
    return F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)


def consistency_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Cross-entropy between a teacher's answers and ours, mean over pixels; 0 for none.

    Parameters
    ----------
    logits, taught
        (n, k): ours, and the teacher's, which is not changed by it.
    """
    if not len(logits):
        return logits.sum()
    teacher = torch.softmax(taught.detach(), dim=1)
    return -(teacher * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
