"""How unsure a prediction is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MOST = 255
"""Uncertainty of a mere guess; 0 is certainty."""


@torch.no_grad()
def uncertainty_of(logits: Tensor, temperature: float) -> Tensor:
    """Entropy of the class probabilities, as a share of the largest there can be.

    Parameters
    ----------
    logits
        (k, ...), ``-inf`` for classes that cannot be.
    temperature
        Divides the logits, so that the probabilities are calibrated.

    Returns
    -------
    Tensor
        uint8 (...), 0 to `MOST`; 0 everywhere if a single class is possible.
    """
    possible = int((logits.flatten(1) > -math.inf).any(dim=1).sum())
    if possible < 2:
        return torch.zeros(logits.shape[1:], dtype=torch.uint8, device=logits.device)
    p = torch.softmax(logits / temperature, dim=0)
    entropy: Tensor = torch.special.entr(p).sum(dim=0) / math.log(possible)
    return (entropy.clamp(0, 1) * MOST).round().to(torch.uint8)
