"""ADAM (Kingma and Ba, *Adam: a method for stochastic optimization*, ICLR 2015, algorithm 1).

Not ``torch.optim.Adam``: that loads torch's compiler, see `native.untraced`. This one also works
inside a CUDA graph, and leaves a step out whose gradients are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MEAN_KEPT, SQUARE_KEPT = 0.9, 0.999
"""What shares of the first and second moment a step leaves as they are."""

EPSILON = 1e-8


class Adam:
    """Moments of a few parameters, and the steps that follow from them.

    Parameters
    ----------
    parameters
        Changed in place, on their device. All moments together are one vector, in their order.
    learning_rate
        Step size.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float) -> None:
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.sizes = [parameter.numel() for parameter in self.parameters]
        self.mean = self.parameters[0].new_zeros(sum(self.sizes))
        self.square = torch.zeros_like(self.mean)
        # Counted on the device: the host's numbers are constants in a graph.
        self.steps = self.mean.new_zeros(len(self.sizes))
        numbers = torch.arange(len(self.sizes)).repeat_interleave(torch.tensor(self.sizes))
        self._parameter_of = numbers.to(self.mean.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, finite: Tensor) -> None:
        """Change the parameters; nothing at all changes unless `gradient` is finite.

        Parameters
        ----------
        gradient
            (n,): of all parameters, one after another.
        finite
            Boolean scalar on the same device, whether all of `gradient` is.
        """
        # 0 in place of what is not finite, which would stay so when it is multiplied by 0
        gradient = torch.where(finite, gradient, 0)
        counts = finite.to(gradient.dtype)
        # All is worked out before anything is changed, which takes no memory that could be missing.
        steps = self.steps + counts
        mean = self.mean.lerp(gradient, (1 - MEAN_KEPT) * counts)
        square = self.square.lerp(gradient * gradient, (1 - SQUARE_KEPT) * counts)
        # 1 - kept**steps, exact for few steps; never 0
        taken = steps.clamp(min=1)
        seen = -torch.expm1(taken * math.log(SQUARE_KEPT))[self._parameter_of]
        rate = self.learning_rate * counts / -torch.expm1(taken * math.log(MEAN_KEPT))
        change = rate[self._parameter_of] * mean / ((square / seen).sqrt() + EPSILON)
        parts = change.split_with_sizes(self.sizes)
        self.steps.copy_(steps)
        self.mean.copy_(mean)
        self.square.copy_(square)
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.sub_(part.view_as(parameter))

    @torch.no_grad()
    def carry(self, earlier: Adam) -> None:
        """Take over what an earlier one knew of the parameters whose size did not change."""
        for i, same in enumerate(map(int.__eq__, self.sizes, earlier.sizes)):
            if same:
                self.steps[i] = earlier.steps[i]
                for mine, theirs in ((self.mean, earlier.mean), (self.square, earlier.square)):
                    mine.split_with_sizes(self.sizes)[i].copy_(
                        theirs.split_with_sizes(earlier.sizes)[i]
                    )

    @torch.no_grad()
    def forget(self) -> None:
        """Begin anew: what was learned of the gradients may have come from a wrong one."""
        for tensor in (self.mean, self.square, self.steps):
            tensor.zero_()

    @property
    def state(self) -> list[Tensor]:
        """All that a step changes."""
        return [*self.parameters, self.mean, self.square, self.steps]
