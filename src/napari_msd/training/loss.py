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


def consistency_loss(logits: Tensor, taught: Tensor, counted: Tensor) -> Tensor:
    """Cross-entropy between a teacher's answers and ours, mean over the pixels that count.

    Parameters
    ----------
    logits, taught
        (n, k, rows, columns): ours, and the teacher's, which is not changed by it.
    counted
        (n, rows, columns), bool; 0 is returned if nothing counts. (A mask is multiplied, not
        indexed with: gathering nearly all pixels, and scattering their gradient, costs more than
        the network's own forward pass.)
    """
    teacher = torch.softmax(taught.detach(), dim=1)
    per_pixel = -(teacher * torch.log_softmax(logits, dim=1)).sum(dim=1)
    return (per_pixel * counted).sum() / counted.sum().clamp(min=1)
