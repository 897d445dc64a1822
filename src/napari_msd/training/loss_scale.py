"""Keeps gradients inside the range of float16, as torch's GradScaler does, but on the device.

The gradients of maps are stored in 16 bits, where the smallest number is 6e-8: the loss is
multiplied before the backward pass, and the gradients of the parameters are divided afterwards.
Where something became too large for 16 bits the gradients are not finite; the step is left out and
the scale halved. (Micikevicius et al., *Mixed precision training*, ICLR 2018.) `GradScaler` itself
asks the device after each step whether it was left out, which a CUDA graph cannot hold.
"""

from __future__ import annotations

import torch
from torch import Tensor

FIRST = 2.0**16
GROWS_AFTER = 2000
"""Steps in a row without a number too large, after which the scale doubles; both as in torch."""


class LossScale:
    """A factor on the device, which follows from what became of earlier steps.

    Parameters
    ----------
    device
        Of the network.
    scales
        If not, the factor is 1 and stays so.
    """

    def __init__(self, device: torch.device, scales: bool) -> None:
        self.factor = torch.full((), FIRST if scales else 1.0, device=device)
        self._finite_steps = torch.zeros((), device=device)
        self._scales = scales

    @torch.no_grad()
    def update(self, finite: Tensor) -> None:
        """After a step, whose gradients were `finite` (boolean scalar) or not."""
        if not self._scales:
            return
        steps = torch.where(finite, self._finite_steps + 1, 0)
        grows = steps >= GROWS_AFTER
        self.factor.mul_(torch.where(finite, 1.0 + grows, 0.5))
        self._finite_steps.copy_(torch.where(grows, 0, steps))

    @property
    def state(self) -> list[Tensor]:
        """All that `update` changes."""
        return [self.factor, self._finite_steps]
